// Draws the last minute: above, how long each answer took; below, a lane for each worker.

const LEFT = 64; // for the labels
const RIGHT = 10;
const TOP = 26; // for the names at the release marks
const PLOT_HEIGHT = 190;
const AXIS_HEIGHT = 30;
const LANE_HEIGHT = 20;
const MOST_LANES = 16;
const FASTEST_MS = 0.5;
const SLOWEST_MS = 10_000;
const GRID_MS = [1, 10, 100, 1000];
const REACH_PX = 12; // of the pointer

// Returns the sample under the pointer, if any.
export function drawTimeline(canvas, { samples, changes, windowMs, now, pointerX }) {
  const workers = liveWorkers(samples, now - windowMs);
  const height = TOP + PLOT_HEIGHT + AXIS_HEIGHT + Math.max(2, workers.length) * LANE_HEIGHT + 4;
  const { context, width, colour } = prepare(canvas, height);
  const x = (at) => LEFT + ((at - now + windowMs) / windowMs) * (width - LEFT - RIGHT);
  const y = (ms) => {
    const bounded = Math.min(Math.max(ms, FASTEST_MS), SLOWEST_MS);
    const share = Math.log(bounded / FASTEST_MS) / Math.log(SLOWEST_MS / FASTEST_MS);
    return TOP + PLOT_HEIGHT * (1 - share);
  };
  drawGrid(context, { width, x, y, now, windowMs, colour });

  context.save();
  context.beginPath();
  context.rect(LEFT, 0, width - LEFT, height);
  context.clip();
  drawAnswers(context, { samples, x, y, colour });
  drawChanges(context, { changes, x, width, height, colour });
  const hit = pointerX === null ? null : nearest(samples, x, pointerX);
  if (hit) {
    context.strokeStyle = colour("--ink");
    context.strokeRect(x(hit.at) - 3, y(hit.tookMs) - 3, 6, 6);
  }
  context.restore();
  drawLanes(context, { workers, x, now, windowMs, colour });
  return hit;
}

function prepare(canvas, height) {
  const ratio = devicePixelRatio || 1;
  canvas.style.height = `${height}px`;
  const width = canvas.clientWidth;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const style = getComputedStyle(document.documentElement);
  const known = new Map();
  const colour = (name) => {
    if (!known.has(name)) known.set(name, style.getPropertyValue(name).trim());
    return known.get(name);
  };
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = `11px ${getComputedStyle(document.body).fontFamily}`;
  context.textBaseline = "middle";
  context.lineWidth = 1;
  return { context, width, colour };
}

function liveWorkers(samples, since) {
  const workers = new Map();
  for (const sample of samples) {
    if (!sample.release || sample.at < since) continue;
    if (!workers.has(sample.worker)) workers.set(sample.worker, []);
    workers.get(sample.worker).push(sample);
  }
  // The youngest below, so that a hand-over steps down the picture.
  return [...workers.values()].sort((a, b) => a[0].at - b[0].at).slice(-MOST_LANES);
}

function drawGrid(context, { width, x, y, now, windowMs, colour }) {
  context.fillStyle = colour("--quiet");
  context.strokeStyle = colour("--line");
  context.textAlign = "right";
  for (const ms of GRID_MS) {
    line(context, LEFT, y(ms), width - RIGHT, y(ms));
    context.fillText(ms < 1000 ? `${ms} ms` : `${ms / 1000} s`, LEFT - 10, y(ms));
  }
  context.textAlign = "center";
  const axis = TOP + PLOT_HEIGHT;
  line(context, LEFT, axis, width - RIGHT, axis);
  const step = width < 560 ? 20_000 : 10_000;
  for (let back = step; back < windowMs; back += step) {
    context.fillText(`−${back / 1000} s`, x(now - back), axis + 13);
  }
  context.textAlign = "right";
  context.fillText("now", width - RIGHT, axis + 13);
}

function drawAnswers(context, { samples, x, y, colour }) {
  const bottom = TOP + PLOT_HEIGHT;
  for (const sample of samples) {
    const at = x(sample.at);
    if (at < LEFT - 2) continue;
    if (!sample.release) {
      context.fillStyle = colour("--bad");
      context.fillRect(at - 1, TOP, 2, PLOT_HEIGHT);
      continue;
    }
    context.fillStyle = colour(sample.release.colour);
    const top = y(sample.tookMs);
    context.globalAlpha = 0.22;
    context.fillRect(at - 0.75, top, 1.5, bottom - top);
    context.globalAlpha = 1;
    context.beginPath();
    context.arc(at, top, 2, 0, 2 * Math.PI);
    context.fill();
  }
}

function drawChanges(context, { changes, x, width, height, colour }) {
  context.textAlign = "left";
  context.setLineDash([3, 3]);
  changes.forEach(({ at, release }, index) => {
    context.strokeStyle = context.fillStyle = colour(release.colour);
    line(context, x(at), 4, x(at), height);
    const room = (index + 1 < changes.length ? x(changes[index + 1].at) : width) - x(at) - 12;
    // The whole name, else its version, else nothing.
    const names = [release.id, release.id.split("-").at(-1)];
    const name = names.find((candidate) => context.measureText(candidate).width <= room);
    if (name) context.fillText(name, x(at) + 6, 10);
  });
  context.setLineDash([]);
}

function drawLanes(context, { workers, x, now, windowMs, colour }) {
  context.textAlign = "right";
  workers.forEach((answers, index) => {
    const middle = TOP + PLOT_HEIGHT + AXIS_HEIGHT + (index + 0.5) * LANE_HEIGHT;
    const last = answers.at(-1);
    const begin = Math.max(LEFT, x(answers[0].at) - 2);
    context.fillStyle = colour("--quiet");
    context.fillText(last.pid, LEFT - 10, middle);
    context.fillStyle = colour(last.release.colour);
    context.globalAlpha = 0.16;
    context.beginPath();
    context.roundRect(begin, middle - 7, Math.max(4, x(last.at) + 2 - begin), 14, 4);
    context.fill();
    context.globalAlpha = 0.9;
    for (const { at } of answers) {
      if (at > now - windowMs) context.fillRect(x(at) - 0.75, middle - 7, 1.5, 14);
    }
    context.globalAlpha = 1;
  });
}

function nearest(samples, x, pointerX) {
  let best = null;
  for (const sample of samples) {
    const distance = Math.abs(x(sample.at) - pointerX);
    if (distance < REACH_PX && (!best || distance < Math.abs(x(best.at) - pointerX))) best = sample;
  }
  return best;
}

function line(context, fromX, fromY, toX, toY) {
  context.beginPath();
  context.moveTo(fromX, fromY);
  context.lineTo(toX, toY);
  context.stroke();
}
