// Asks /version again and again, keeps what came back, and shows it.

const { drawTimeline } = await import("./timeline.js" + new URL(import.meta.url).search);

const POLL_EVERY_MS = 400;
const POLL_TOGETHER = 4; // at once, so that several connections are used and several workers seen
const MOST_AT_ONCE = 6;
const GIVE_UP_AFTER_MS = 10_000;
const WINDOW_MS = 60_000;
const HANDOVER_QUIET_MS = 3_000; // the former release has ended when it is silent for so long
const COLOURS = 6;

const element = (id) => document.getElementById(id);
const canvas = element("timeline");
const releases = new Map(); // id -> {id, colour, answers, lastAt, legend}
const samples = []; // of the last minute: {at, tookMs, release, worker} or {at, tookMs, error}
const changes = []; // of the last minute: {at, release}
let answered = 0;
let failed = 0;
let inFlight = 0;
let leader = null; // {release, started, since, identity}: the release of the youngest worker
let handover = null; // {from, startedAt, seenAt, answeredBefore, failedBefore, slowestMs, entry}
let outage = null; // {startedAt, failedBefore, entry}
let pointerX = null;

async function poll() {
  if (document.hidden || inFlight >= MOST_AT_ONCE) return;
  inFlight += 1;
  const at = Date.now();
  const begin = performance.now();
  try {
    const answer = await fetch("/version", {
      cache: "no-store",
      signal: AbortSignal.timeout(GIVE_UP_AFTER_MS),
    });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const identity = await answer.json();
    if (!identity.release) throw new Error("an answer without a release");
    noteAnswer(at, performance.now() - begin, identity);
  } catch (error) {
    noteFailure(at, performance.now() - begin, error);
  } finally {
    inFlight -= 1;
  }
}

function noteAnswer(at, tookMs, identity) {
  answered += 1;
  const release = knownRelease(identity.release);
  release.answers += 1;
  release.lastAt = Math.max(release.lastAt, at + tookMs);
  samples.push({ at, tookMs, release, worker: `${identity.host} ${identity.pid}`, pid: identity.pid });
  if (outage) {
    const seconds = ((Date.now() - outage.startedAt) / 1000).toFixed(1);
    outage.entry.append(` Answers again after ${seconds} s, ${failed - outage.failedBefore} failed.`);
    outage = null;
  }
  const started = Date.parse(identity.started);
  if (!leader) {
    leader = { release, started, since: at, identity };
    addHistory(["Watching: ", code(release.id), " is live."]);
  } else if (started > leader.started && release !== leader.release) {
    beginHandover(at, release, started, identity);
  } else if (release === leader.release) {
    leader.started = Math.max(leader.started, started);
    leader.identity = identity;
  }
  if (handover) handover.slowestMs = Math.max(handover.slowestMs, tookMs);
}

function noteFailure(at, tookMs, error) {
  if (document.hidden) return; // the browser, not the site, may have ended it
  failed += 1;
  samples.push({ at, tookMs, error: error.name === "TimeoutError" ? "no answer in 10 s" : error.message });
  if (!outage) {
    const entry = addHistory([`A request failed: ${samples.at(-1).error}.`]);
    entry.className = "bad";
    outage = { startedAt: at, failedBefore: failed - 1, entry };
  }
}

function knownRelease(id) {
  let release = releases.get(id);
  if (!release) {
    release = { id, colour: `--release-${releases.size % COLOURS}`, answers: 0, lastAt: 0 };
    release.legend = document.createElement("li");
    release.legend.style.setProperty("--release", `var(${release.colour})`);
    release.count = document.createElement("span");
    release.legend.append(code(id), release.count);
    element("legend").append(release.legend);
    releases.set(id, release);
  }
  return release;
}

function beginHandover(at, release, started, identity) {
  if (handover) endHandover();
  const entry = addHistory([code(release.id), " takes over from ", code(leader.release.id), "."]);
  handover = {
    from: leader.release,
    startedAt: at,
    seenAt: Date.now(),
    answeredBefore: answered - 1,
    failedBefore: failed,
    slowestMs: 0,
    entry,
  };
  leader = { release, started, since: at, identity };
  changes.push({ at, release });
}

function endHandover() {
  const seconds = Math.max(0, (handover.from.lastAt - handover.startedAt) / 1000).toFixed(1);
  const lost = failed - handover.failedBefore;
  const count = answered - handover.answeredBefore;
  const slowest = inMilliseconds(handover.slowestMs);
  handover.entry.append(` Both answered for ${seconds} s; ${lost || "none"} of ${count + lost} requests failed, the slowest took ${slowest}.`);
  if (lost) handover.entry.className = "bad";
  handover = null;
}

function code(text) {
  const node = document.createElement("code");
  node.textContent = text;
  return node;
}

function addHistory(parts) {
  const item = document.createElement("li");
  const time = document.createElement("time");
  const entry = document.createElement("p");
  time.textContent = new Date().toLocaleTimeString();
  entry.append(...parts);
  item.append(time, entry);
  element("history").prepend(item);
  while (element("history").children.length > 100) element("history").lastChild.remove();
  return entry;
}

const inMilliseconds = (value) => (value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString()) + " ms";

function show() {
  const now = Date.now();
  while (samples.length && samples[0].at < now - WINDOW_MS - GIVE_UP_AFTER_MS) samples.shift();
  while (changes.length && changes[0].at < now - WINDOW_MS) changes.shift();
  if (handover && now - Math.max(handover.from.lastAt, handover.seenAt) > HANDOVER_QUIET_MS) endHandover();

  element("answered").textContent = answered.toLocaleString();
  element("failed").textContent = failed.toLocaleString();
  element("failed").toggleAttribute("data-any", failed > 0);
  const times = samples.filter((sample) => sample.release).map((sample) => sample.tookMs).sort((a, b) => a - b);
  if (times.length) {
    element("median").textContent = inMilliseconds(times[Math.floor(times.length * 0.5)]);
    element("percentile").textContent = inMilliseconds(times[Math.floor(times.length * 0.99)]);
    element("slowest").textContent = inMilliseconds(times.at(-1));
  }
  for (const release of releases.values()) release.count.textContent = `${release.answers.toLocaleString()} answers`;
  if (leader) {
    const { host, pid, python } = leader.identity;
    element("release").textContent = leader.release.id;
    document.documentElement.style.setProperty("--release", `var(${leader.release.colour})`);
    element("detail").textContent =
      `since ${new Date(leader.since).toLocaleTimeString()}, last from worker ${pid} on ${host}, Python ${python}`;
    document.title = `${leader.release.id} · Observatory`;
  }
  const state = outage ? "down" : handover ? "handover" : leader ? "live" : "waiting";
  const words = { down: "not answering", handover: "handing over", live: "answering", waiting: "waiting" };
  if (element("status").dataset.state !== state) {
    element("status").dataset.state = state;
    element("status").textContent = words[state];
  }
}

function draw() {
  const hit = drawTimeline(canvas, { samples, changes, windowMs: WINDOW_MS, now: Date.now(), pointerX });
  if (hit) {
    const who = hit.release ? `${hit.release.id}, worker ${hit.worker}` : hit.error;
    element("readout").textContent =
      `${new Date(hit.at).toLocaleTimeString()}, ${inMilliseconds(hit.tookMs)}, ${who}`;
  }
}

function drawEachFrame() {
  draw();
  requestAnimationFrame(drawEachFrame);
}

canvas.addEventListener("pointermove", (event) => (pointerX = event.offsetX));
canvas.addEventListener("pointerleave", () => (pointerX = null));
setInterval(() => { for (let i = 0; i < POLL_TOGETHER; i += 1) poll(); }, POLL_EVERY_MS);
setInterval(show, 250);
if (matchMedia("(prefers-reduced-motion: reduce)").matches) setInterval(draw, 1000);
else drawEachFrame();
