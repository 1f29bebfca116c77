// Follows one job: asks for events after the last one it has, so a reload or a lost connection costs nothing.
const root = document.getElementById("job");
const rows = document.getElementById("metrics");
const state = document.getElementById("state");
const stage = document.getElementById("stage");
const chart = document.getElementById("chart");
const progress = document.getElementById("progress");
const losses = [];
let after = 0;

const ENDED = ["done", "failed", "cancelled"];
const number = (value) => Number(value).toLocaleString("en");
const minutes = (ms) => `${Math.floor(ms / 60000)} min ${String(Math.floor(ms / 1000) % 60).padStart(2, "0")} s`;
const WORDS = {
  loss_micronats: ["loss (nats per token)", (v) => (v / 1e6).toFixed(3)],
  learning_rate_ppb: ["learning rate", (v) => (v / 1e9).toPrecision(2)],
  elapsed_ms: ["time so far", minutes],
  left_ms: ["time left", minutes],
  tokens_per_second: ["tokens per second", number],
};

function draw() {
  if (!chart || losses.length < 2) return;
  const top = Math.max(...losses), width = 600, height = 116;
  const points = losses.map((v, i) => `${(i * width) / (losses.length - 1)},${2 + height - (v / top) * height}`);
  const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  line.setAttribute("points", points.join(" "));
  chart.replaceChildren(line);
  document.getElementById("curve").hidden = false;
}

function showStep(event) {
  const item = document.querySelector(`#steps [data-step="${CSS.escape(event.step)}"]`);
  if (!item) return;
  item.className = event.state;
  item.querySelector(".state").className = `state ${event.state}`;
  item.querySelector(".state").textContent = event.state;
  item.querySelector(".words").textContent = event.words;
}

function showMetrics(metrics) {
  rows.textContent = "";
  for (const [name, value] of Object.entries(metrics)) {
    const [label, format] = WORDS[name] ?? [name.replaceAll("_", " "), number];
    const row = rows.insertRow();
    row.insertCell().textContent = label;
    row.insertCell().textContent = format(value);
    row.cells[1].className = "number";
  }
  const done = metrics.step ?? metrics.records_done, all = metrics.steps ?? metrics.records;
  if (done !== undefined && all) {
    progress.hidden = false;
    progress.max = all;
    progress.value = done;
  }
  if (metrics.loss_micronats !== undefined) losses.push(metrics.loss_micronats);
}

function show(event) {
  if (event.step) showStep(event);
  if (event.stage) stage.textContent = `(${event.stage})`;
  if (event.metrics && rows) showMetrics(event.metrics);
}

async function follow() {
  for (;;) {
    try {
      const answer = await fetch(`/api/jobs/${root.dataset.id}/events?after=${after}`);
      if (answer.status === 403) return; // no token: the page says so
      if (!answer.ok) throw new Error(await answer.text());
      const page = await answer.json();
      for (const item of page.events) { after = item.sequence; show(item.event); }
      draw();
      state.textContent = page.state;
      state.className = `state ${page.state}`;
      if (ENDED.includes(page.state) && page.events.length === 0) {
        if (root.dataset.state !== page.state) location.reload();
        if (progress) progress.hidden = true;
        if (rows && page.state === "done") rows.hidden = true; // the result says more
        stage.textContent = "";
        return;
      }
    } catch (error) {
      state.textContent = "waiting for the node";
      await new Promise((wake) => setTimeout(wake, 2000));
    }
  }
}
follow();
