// The page: a reference to draw on, targets, and the objects that the model finds in them.

import * as api from "./api.js";
import { Drawing } from "./drawing.js";
import { Target } from "./target.js";

const $ = (id) => document.getElementById(id);

let targets = [];
let mostBytes = Infinity;
let shown = 0; // how many samples were shown
let round = 0; // answers from earlier rounds are dropped
const drawing = new Drawing($("canvas"), () => forget());

const asking = () => ({ count: $("count").checked, refine: $("refine").checked });

const look = () => ({
  opacity: $("opacity").value / 100,
  threshold: Number($("threshold").value),
  uncertainty: $("uncertainty").checked,
});

function render() {
  $("threshold-shown").textContent = Number($("threshold").value).toFixed(2);
  for (const target of targets) target.render(look());
  $("download").disabled = !targets.some((target) => target.answer);
}

/** Run something that may fail, and show its error on the page. */
async function trying(work) {
  try {
    $("error").textContent = "";
    await work();
  } catch (error) {
    $("error").textContent = error.message;
    $("status").textContent = "";
    $("error").scrollIntoView({ block: "nearest" });
  }
}

/** Drop the earlier answers, since what they answered has changed. */
function forget(changed = "The drawing has changed") {
  round += 1;
  for (const target of targets) target.take(null);
  $("status").textContent = `${changed}; press Segment.`;
  render();
}

async function segment() {
  const content = drawing.content;
  if (!content) throw new Error("nothing is marked on the reference; paint, click or box the object");
  if (!targets.length) throw new Error("there are no targets; drop images into the right pane");
  round += 1;
  const mine = round;
  const waiting = targets.filter((target) => !target.answer);
  const asked = waiting.length ? waiting : [...targets];
  for (const [number, target] of asked.entries()) {
    $("status").textContent = `Segmenting target ${number + 1} of ${asked.length}…`;
    const answer = await api.segment({ reference: drawing.info.id, drawing: content, target: target.info.id, ...asking() });
    if (mine !== round) return;
    await target.take(answer);
    render();
  }
  $("status").textContent = "";
  count();
}

/** Ask again, because something else is asked of the same drawing. */
async function again() {
  forget("The question has changed");
  if (drawing.content && targets.length) await segment();
}

/** Show in how many targets the object is, once all have an answer. */
function count() {
  if (!targets.every((target) => target.answer)) return;
  const { threshold } = look();
  const there = targets.filter((target) => target.isThere(threshold));
  const counted = there.length > 0 && there.every((target) => target.answer.objects);
  const all = counted ? `, ${there.reduce((sum, target) => sum + target.answer.objects.length, 0)} in all` : "";
  $("status").textContent = targets.length ? `The object is in ${there.length} of ${targets.length} targets${all}.` : "";
}

async function setReference(info) {
  drawing.load(info, await api.pictureOf(info.id));
  forget();
}

async function addTarget(info) {
  if (targets.some((target) => target.info.id === info.id)) return;
  const shown = await api.pictureOf(info.id);
  if (targets.some((target) => target.info.id === info.id)) return; // dropped twice at once
  const target = new Target(info, shown, remove);
  targets.push(target);
  $("grid").append(target.figure);
  render();
}

function remove(gone) {
  targets = targets.filter((target) => target !== gone);
  gone.figure.remove();
  render();
  count();
}

async function sendReference([file]) {
  if (file) await setReference(await api.send(file, mostBytes));
}

/** Take all images that can be read, then show the error of the first that cannot. */
async function sendTargets(files) {
  let failed = null;
  for (const [number, file] of [...files].entries()) {
    $("status").textContent = `Reading image ${number + 1} of ${files.length}…`;
    try {
      await addTarget(await api.send(file, mostBytes));
    } catch (error) {
      failed ??= error;
    }
  }
  $("status").textContent = "";
  if (drawing.content && targets.some((target) => !target.answer)) await segment();
  if (failed) throw failed;
}

async function download() {
  const content = drawing.content;
  if (!content) throw new Error("nothing is marked on the reference; paint, click or box the object");
  $("status").textContent = "Packing…";
  const ids = targets.map((target) => target.info.id);
  const { threshold } = look();
  const packed = await api.zip({ reference: drawing.info.id, drawing: content, targets: ids, threshold, ...asking() });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(packed);
  link.download = "prosam.zip";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  $("status").textContent = "The zip contains masks, overlays, coco.json and labelme's JSON.";
}

function takesFiles(area, input, taken) {
  input.addEventListener("change", () => trying(async () => {
    const files = [...input.files];
    input.value = ""; // so that the same file can be chosen again
    await taken(files);
  }));
  area.addEventListener("dragover", (event) => {
    event.preventDefault();
    area.classList.add("over");
  });
  area.addEventListener("dragleave", () => area.classList.remove("over"));
  area.addEventListener("drop", (event) => {
    event.preventDefault();
    area.classList.remove("over");
    trying(() => taken([...event.dataTransfer.files]));
  });
}

/** Show samples: the reference with its object marked, and the targets. */
async function show({ reference, mask, drawing: drawn, targets: infos, count: counts }) {
  const mine = (shown += 1);
  [...targets].forEach(remove);
  $("count").checked = counts;
  drawing.kind = drawn?.kind ?? "mask";
  document.querySelector(`input[name=kind][value=${drawing.kind}]`).checked = true;
  await setReference(reference);
  if (drawn) drawing.take(drawn);
  else drawing.paintMask(await api.picture(mask));
  for (const info of infos) {
    if (mine !== shown) return; // other samples were chosen meanwhile
    await addTarget(info);
  }
  if (mine === shown) await segment();
}

function offerSamples(kinds) {
  $("samples").hidden = kinds.length < 2;
  for (const [number, kind] of kinds.entries()) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = kind;
    button.addEventListener("click", () => trying(async () => show(await api.samples(number))));
    $("samples").append(button);
  }
}

async function begin() {
  const told = await api.start();
  mostBytes = told.most_bytes;
  $("model").textContent = `The model is ${told.model}${told.caveat ? "; it" : "."}`;
  $("caveat").textContent = told.caveat ? `${told.caveat}.` : "";
  $("threshold").value = told.threshold;
  $("refine").checked = told.refines;
  $("uncertainty-label").hidden = !told.uncertainty;
  offerSamples(told.kinds);
  await show(told);
}

takesFiles($("reference-drop"), $("reference-file"), sendReference);
takesFiles($("targets-drop"), $("targets-file"), sendTargets);
for (const id of ["opacity", "threshold", "uncertainty"]) $(id).addEventListener("input", render);
$("threshold").addEventListener("input", count);
for (const id of ["count", "refine"]) $(id).addEventListener("input", () => trying(again));
$("kinds").addEventListener("change", (event) => {
  drawing.kind = event.target.value;
  drawing.render();
  forget();
});
$("brush").addEventListener("input", () => {
  drawing.brush = Number($("brush").value);
  $("brush").setAttribute("aria-valuetext", `${drawing.brush} percent`);
});
$("erase").addEventListener("change", () => (drawing.erasing = $("erase").checked));
$("undo").addEventListener("click", () => drawing.undo());
$("clear").addEventListener("click", () => drawing.clear());
$("segment").addEventListener("click", () => trying(segment));
$("download").addEventListener("click", () => trying(download));
$("remove-all").addEventListener("click", () => [...targets].forEach(remove));
// a file dropped beside the panes would replace the page
for (const name of ["dragover", "drop"]) window.addEventListener(name, (event) => event.preventDefault());
trying(begin);
