// Line charts in the page's own colours. Every chart has a table beside it with the same numbers.
//
//   <figure class="chart" data-curves="URL"><canvas></canvas></figure>   loss and dev curves, live with data-live
//   drawLines(canvas, {series, xTitle, yTitle})                          for any other page

/* global Chart */

const charts = new Map(); // canvas → function that draws it again in the current theme

/** Return the colour of a custom property in this theme; only an element resolves light-dark(). */
export function colour(name) {
  const probe = document.createElement("span");
  probe.hidden = true;
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

export const palette = () => ["--chart-1", "--chart-2", "--chart-3", "--chart-4"].map(colour);

function scale(title, extra = {}) {
  return {
    type: "linear",
    title: { display: Boolean(title), text: title, color: colour("--ink-soft") },
    ticks: { color: colour("--ink-soft"), maxTicksLimit: 6, font: { size: 12 } },
    grid: { color: colour("--chart-grid"), drawTicks: false },
    border: { display: false },
    ...extra,
  };
}

function options(xTitle, axes) {
  const isReduced = matchMedia("(prefers-reduced-motion: reduce)").matches;
  return {
    animation: isReduced ? false : { duration: 250 },
    maintainAspectRatio: false,
    interaction: { mode: "nearest", axis: "x", intersect: false },
    plugins: {
      legend: {
        align: "start",
        labels: { color: colour("--ink"), usePointStyle: true, pointStyle: "line", boxWidth: 24, font: { size: 13 } },
      },
      tooltip: {
        backgroundColor: colour("--ink"),
        titleColor: colour("--paper"),
        bodyColor: colour("--paper"),
        cornerRadius: 4,
        displayColors: false,
      },
    },
    scales: { x: scale(xTitle), ...axes },
  };
}

/** Draw series [{name, points: [[x, y], …], axis: "y" | "right"}]; a chart that is there already takes the new data. */
export function drawLines(canvas, { series, xTitle = "", yTitle = "", rightTitle = "" }) {
  const draw = () => {
    const colours = palette();
    Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
    const datasets = series.map((line, place) => ({
      label: line.name,
      data: line.points.map(([x, y]) => ({ x, y })),
      yAxisID: line.axis ?? "y",
      borderColor: colours[place % colours.length],
      backgroundColor: colours[place % colours.length],
      borderWidth: 2,
      borderDash: line.axis === "right" ? [5, 4] : [],
      pointRadius: line.points.length > 30 ? 0 : 2.5,
      pointHitRadius: 12,
      tension: 0.15,
    }));
    const axes = { y: scale(yTitle) };
    if (series.some((line) => line.axis === "right")) {
      axes.right = scale(rightTitle, { position: "right", grid: { display: false } });
    }
    const chart = Chart.getChart(canvas);
    if (chart) {
      chart.data.datasets = datasets;
      chart.options = options(xTitle, axes);
      chart.update("none");
    } else {
      new Chart(canvas, { type: "line", data: { datasets }, options: options(xTitle, axes) });
    }
  };
  charts.set(canvas, draw);
  draw();
}

/** Load and draw the curves of a figure, again and again while they are live. */
async function loadCurves(figure) {
  const canvas = figure.querySelector("canvas");
  const response = await fetch(figure.dataset.curves, { headers: { Accept: "application/json" } });
  if (!response.ok) return;
  const { curves, is_live: isLive } = await response.json();
  const hasBoth = curves.some((curve) => curve.kind === "dev") && curves.some((curve) => curve.kind === "loss");
  const series = curves.map((curve) => ({ ...curve, axis: hasBoth && curve.kind === "dev" ? "right" : "y" }));
  if (series.length) drawLines(canvas, { series, xTitle: figure.dataset.step, yTitle: figure.dataset.loss, rightTitle: figure.dataset.dev });
  figure.classList.toggle("is-empty", !series.length);
  if (isLive) setTimeout(() => loadCurves(figure).catch(() => setTimeout(() => loadCurves(figure), 10_000)), 2000);
}

for (const figure of document.querySelectorAll("[data-curves]")) loadCurves(figure);

function redraw() {
  for (const [canvas, draw] of charts) {
    if (canvas.isConnected) draw();
    else charts.delete(canvas);
  }
}

document.addEventListener("tandem:theme", redraw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
