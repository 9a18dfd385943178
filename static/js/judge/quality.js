// Charts of the quality page. Each draws the table beside it, so the two cannot differ.

import { colour, palette } from '../charts.js';

/* global Chart */

function rowsOf(table) {
  const cells = (row) => [...row.cells].map((cell) => cell.textContent.trim());
  const [head] = table.tHead.rows;
  return { columns: cells(head), rows: [...table.tBodies[0].rows].map(cells) };
}

const number = (text) => (text === '–' ? null : Number(text));

function bars({ columns, rows }) {
  const colours = palette();
  return {
    type: 'bar',
    data: {
      labels: rows.map(([label]) => label),
      datasets: [{ label: columns[1], data: rows.map((row) => number(row[1])), backgroundColor: colours[0], borderRadius: 3 }],
    },
  };
}

function interval({ columns, rows }) {
  const [main] = palette();
  const line = (place, extra) => ({ label: columns[place], data: rows.map((row) => number(row[place])), borderColor: main, pointRadius: 0, ...extra });
  const edge = { borderWidth: 0, backgroundColor: `color-mix(in srgb, ${main} 18%, transparent)` };
  return {
    type: 'line',
    data: {
      labels: rows.map(([label]) => label),
      datasets: [
        line(1, { borderWidth: 2, pointRadius: 4, backgroundColor: main }),
        line(2, edge),
        line(3, { ...edge, fill: '-1' }),
      ],
    },
  };
}

function options(kind) {
  const ticks = { color: colour('--ink-soft'), font: { size: 12 }, maxRotation: 0, autoSkipPadding: 16 };
  return {
    animation: matchMedia('(prefers-reduced-motion: reduce)').matches ? false : { duration: 250 },
    maintainAspectRatio: false,
    interaction: { mode: 'index', intersect: false },
    plugins: { legend: { display: false } },
    scales: {
      x: { ticks, grid: { display: false }, border: { display: false } },
      y: {
        ticks: { ...ticks, maxTicksLimit: 5, ...(kind === 'bar' ? { precision: 0 } : {}) },
        grid: { color: colour('--chart-grid'), drawTicks: false }, border: { display: false },
        beginAtZero: kind === 'bar', suggestedMax: kind === 'bar' ? undefined : 1,
      },
    },
  };
}

function draw(figure) {
  const { kind, table } = figure.dataset;
  const canvas = figure.querySelector('canvas');
  Chart.getChart(canvas)?.destroy();
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  const rows = rowsOf(document.getElementById(table));
  new Chart(canvas, { ...(kind === 'bar' ? bars(rows) : interval(rows)), options: options(kind) });
}

const drawAll = () => document.querySelectorAll('[data-table]').forEach(draw);

drawAll();
document.addEventListener('tandem:theme', drawAll);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawAll);
