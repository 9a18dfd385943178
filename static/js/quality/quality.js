// Charts of the quality page. Each shows the table beside it, so that the two cannot differ.

import { colour, palette } from '../charts.js';

/* global Chart */

const MAX_LABELS = 8; // up to so many bars, each has its label, also on a phone

function readTable(table) {
  const cells = (row) => [...row.cells].map((cell) => cell.textContent.trim());
  const [head] = table.tHead.rows;
  return { columns: cells(head), rows: [...table.tBodies[0].rows].map(cells) };
}

const toNumber = (text) => (text === '–' ? null : Number(text));

function bars({ columns, rows }) {
  const colours = palette();
  return {
    type: 'bar',
    data: {
      labels: rows.map(([label]) => (rows.length > MAX_LABELS ? label : label.split(' '))), // one word per line, for narrow screens
      datasets: [{ label: columns[1], data: rows.map((row) => toNumber(row[1])), backgroundColor: colours[0], borderRadius: 3 }],
    },
  };
}

/** The interval is a bar behind its point, so that a single week has one too. */
function interval({ columns, rows }) {
  const [main] = palette();
  const figures = (place) => rows.map((row) => toNumber(row[place]));
  const ends = figures(2).map((low, week) => (low === null ? null : [low, figures(3)[week]]));
  return {
    data: {
      labels: rows.map(([label]) => label),
      datasets: [
        { type: 'line', label: columns[1], data: figures(1), borderColor: main, backgroundColor: main, borderWidth: 2, pointRadius: 4 },
        { type: 'bar', label: `${columns[2]}, ${columns[3]}`, data: ends, backgroundColor: `color-mix(in srgb, ${main} 25%, transparent)`, barThickness: 14, borderRadius: 3, borderSkipped: false },
      ],
    },
  };
}

function lines({ columns, rows }) {
  const colours = palette();
  const line = (label, place) => ({
    label, data: rows.map((row) => toNumber(row[place + 1])), spanGaps: true, borderWidth: place ? 1.5 : 3, pointRadius: 4,
    borderColor: colours[place % colours.length], backgroundColor: colours[place % colours.length],
  });
  return { type: 'line', data: { labels: rows.map(([label]) => label), datasets: columns.slice(1).map(line) } };
}

const CHARTS = { bar: bars, interval, lines };

function options(kind, count) {
  const ticks = { color: colour('--ink-soft'), font: { size: 12 }, maxRotation: 0, autoSkipPadding: 16 };
  const legend = { display: kind === 'lines', align: 'start', labels: { color: colour('--ink'), usePointStyle: true, pointStyle: 'line' } };
  return {
    animation: matchMedia('(prefers-reduced-motion: reduce)').matches ? false : { duration: 250 },
    maintainAspectRatio: false,
    interaction: { mode: 'index', intersect: false },
    plugins: { legend },
    scales: {
      x: { offset: true, ticks: { ...ticks, autoSkip: count > MAX_LABELS }, grid: { display: false }, border: { display: false } },
      y: {
        ticks: { ...ticks, maxTicksLimit: 5, ...(kind === 'bar' ? { precision: 0 } : {}) },
        grid: { color: colour('--chart-grid'), drawTicks: false }, border: { display: false },
        beginAtZero: kind !== 'interval', suggestedMax: kind === 'bar' ? undefined : 1,
      },
    },
  };
}

function draw(figure) {
  const { kind, table } = figure.dataset;
  const canvas = figure.querySelector('canvas');
  Chart.getChart(canvas)?.destroy();
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  const data = readTable(document.getElementById(table));
  new Chart(canvas, { ...CHARTS[kind](data), options: options(kind, data.rows.length) });
}

const drawAll = () => document.querySelectorAll('[data-table]').forEach(draw);

drawAll();
document.addEventListener('tandem:theme', drawAll);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawAll);
