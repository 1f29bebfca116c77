// Follows one job: asks for events after the last one it has, so a reload or a lost connection costs nothing.
const root = document.getElementById("job");
const rows = document.getElementById("metrics");
const state = document.getElementById("state");
const stage = document.getElementById("stage");
const chart = document.getElementById("chart");
const losses = [];
let after = 0;

function draw() {
  if (losses.length < 2) return;
  const top = Math.max(...losses), width = 600, height = 120;
  const points = losses.map((v, i) => `${(i * width) / (losses.length - 1)},${height - (v / top) * height}`);
  chart.hidden = false;
  chart.innerHTML = `<polyline fill="none" stroke="currentColor" stroke-width="2" points="${points.join(" ")}"/>`;
}

function show(event) {
  if (event.stage) stage.textContent = event.stage;
  if (!event.metrics) return;
  rows.textContent = "";
  for (const [name, value] of Object.entries(event.metrics)) {
    const row = rows.insertRow();
    row.insertCell().textContent = name.replaceAll("_", " ");
    row.insertCell().textContent = Number(value).toLocaleString("en");
    row.cells[1].className = "number";
  }
  const loss = event.metrics.loss_micronats;
  if (loss !== undefined) losses.push(loss);
}

async function follow() {
  for (;;) {
    try {
      const answer = await fetch(`/api/jobs/${root.dataset.id}/events?after=${after}`);
      if (answer.status === 403) {
        state.textContent = `${root.dataset.state} (open any page once with ?token=… to follow live)`;
        return;
      }
      if (!answer.ok) throw new Error(await answer.text());
      const page = await answer.json();
      for (const item of page.events) { after = item.sequence; show(item.event); }
      draw();
      state.textContent = page.state;
      if (["done", "failed", "cancelled"].includes(page.state) && page.events.length === 0) {
        if (root.dataset.state !== page.state) location.reload();
        return;
      }
    } catch (error) {
      state.textContent = "waiting for the node";
      await new Promise((wake) => setTimeout(wake, 2000));
    }
  }
}
follow();
