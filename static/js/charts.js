// Charts in the page's own colours. Every chart has a table beside it; this only draws.
//
//   <figure class="chart" data-curves="URL"><canvas></canvas></figure>   loss and dev curves, live with data-live
//   drawLines(canvas, {series, xTitle, yTitle})                          for any other page

/* global Chart */

const selection = new Map(); // canvas → function that draws it anew in the current theme

/** The colour a custom property stands for in this theme: light-dark() has to be resolved by an element. */
export function colour(name) {
  const probe = document.createElement("span");
  probe.hidden = true;
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
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
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  return {
    animation: still ? false : { duration: 250 },
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

/** series: [{name, points: [[x, y], …], axis: "y" | "right"}]; a canvas drawn before takes the new data. */
export function drawLines(canvas, { series, xTitle = "", yTitle = "", rightTitle = "" }) {
  const draw = () => {
    const colours = palette();
    Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
    const datasets = series.map((one, place) => ({
      label: one.name,
      data: one.points.map(([x, y]) => ({ x, y })),
      yAxisID: one.axis ?? "y",
      borderColor: colours[place % colours.length],
      backgroundColor: colours[place % colours.length],
      borderWidth: 2,
      borderDash: one.axis === "right" ? [5, 4] : [],
      pointRadius: one.points.length > 30 ? 0 : 2.5,
      pointHitRadius: 12,
      tension: 0.15,
    }));
    const axes = { y: scale(yTitle) };
    if (series.some((one) => one.axis === "right")) {
      axes.right = scale(rightTitle, { position: "right", grid: { display: false } });
    }
    const known = Chart.getChart(canvas);
    if (known) {
      known.data.datasets = datasets;
      known.options = options(xTitle, axes);
      known.update("none");
    } else {
      new Chart(canvas, { type: "line", data: { datasets }, options: options(xTitle, axes) });
    }
  };
  drawn.set(canvas, draw);
  draw();
}

async function follow(figure) {
  const canvas = figure.querySelector("canvas");
  const answer = await fetch(figure.dataset.curves, { headers: { Accept: "application/json" } });
  if (!answer.ok) return;
  const { curves, is_live: isLive } = await answer.json();
  const hasBoth = curves.some((one) => one.kind === "dev") && curves.some((one) => one.kind === "loss");
  const series = curves.map((one) => ({ ...one, axis: hasBoth && one.kind === "dev" ? "right" : "y" }));
  if (series.length) drawLines(canvas, { series, xTitle: figure.dataset.step, yTitle: figure.dataset.loss, rightTitle: figure.dataset.dev });
  figure.classList.toggle("is-empty", !series.length);
  if (isLive) setTimeout(() => follow(figure).catch(() => setTimeout(() => follow(figure), 10_000)), 2000);
}

for (const figure of document.querySelectorAll("[data-curves]")) follow(figure);

function redraw() {
  for (const [canvas, draw] of selection) {
    if (canvas.isConnected) draw();
    else drawn.delete(canvas);
  }
}

document.addEventListener("tandem:theme", redraw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
