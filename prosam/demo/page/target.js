// One target: its picture, the model's answer, and its figure on the page.

import { picture } from "./api.js";
import { blank, tint } from "./drawing.js";

const MASK = "#00b7ff";
const UNCERTAIN = "#ffd000";

export class Target {
  /** Make the figure of an image; `removed` is called when the user removes it. */
  constructor(info, shown, removed) {
    this.info = info;
    this.picture = shown;
    this.answer = null;
    this.figure = document.querySelector("#target").content.cloneNode(true).firstElementChild;
    this.canvas = this.figure.querySelector("canvas");
    [this.canvas.width, this.canvas.height] = [shown.naturalWidth, shown.naturalHeight];
    this.figure.querySelector(".name").textContent = info.name;
    const button = this.figure.querySelector(".remove");
    button.setAttribute("aria-label", `Remove ${info.name}`);
    button.addEventListener("click", () => removed(this));
  }

  /** Take the server's answer, or null if it no longer holds. The answer counts once its pictures are loaded. */
  async take(answer) {
    this.answer = null;
    this.latest = answer;
    if (!answer) return;
    const mask = layer(await picture(answer.view), MASK, (grey) => grey);
    // the spread is mostly far below its greatest possible value
    const alpha = (grey) => Math.sqrt(grey * 255);
    const spread = answer.spread ? layer(await picture(answer.spread), UNCERTAIN, alpha) : null;
    if (this.latest !== answer) return; // the drawing has changed meanwhile
    [this.answer, this.mask, this.spread] = [answer, mask, spread];
    const link = this.figure.querySelector("a");
    link.href = answer.mask;
    link.download = `${this.info.name.replace(/\.[^.]*$/, "")} mask.png`;
  }

  /** Whether the object is there: `presence` reaches the threshold, and the mask is not empty. */
  isThere(threshold) {
    return this.answer !== null && !this.answer.empty && this.answer.presence >= threshold;
  }

  /** Draw the target; `opacity` and `threshold` are in [0, 1]. */
  render({ opacity, threshold, uncertainty }) {
    const { width, height } = this.canvas;
    const context = this.canvas.getContext("2d");
    context.globalAlpha = 1;
    context.drawImage(this.picture, 0, 0, width, height);
    const there = this.isThere(threshold);
    if (this.answer && uncertainty && this.spread) {
      context.fillStyle = `rgb(0 0 0 / ${0.85 * opacity})`;
      context.fillRect(0, 0, width, height);
      context.globalAlpha = opacity;
      context.drawImage(this.spread, 0, 0, width, height);
    } else if (there) {
      context.globalAlpha = opacity;
      context.drawImage(this.mask, 0, 0, width, height);
      context.globalAlpha = 1;
      this.#drawNumbers(context);
    }
    context.globalAlpha = 1;
    this.#tell(there);
  }

  /** Number the counted objects, each in the middle of its box. */
  #drawNumbers(context) {
    const { width, height } = this.canvas;
    context.textAlign = "center";
    context.textBaseline = "middle";
    for (const [index, [left, upper, right, lower]] of (this.answer.objects ?? []).entries()) {
      const side = Math.min((right - left) * width, (lower - upper) * height);
      context.font = `600 ${Math.max(width / 40, Math.min(side / 2, width / 12))}px system-ui, sans-serif`;
      context.lineWidth = width / 150;
      const at = [((left + right) / 2) * width, ((upper + lower) / 2) * height];
      context.strokeStyle = "#000";
      context.strokeText(index + 1, ...at);
      context.fillStyle = "#fff";
      context.fillText(index + 1, ...at);
    }
  }

  #tell(there) {
    const verdict = this.figure.querySelector(".verdict");
    verdict.className = "verdict";
    const facts = this.figure.querySelector("dl");
    facts.replaceChildren();
    this.figure.querySelector("a").hidden = !there;
    verdict.textContent = "";
    this.canvas.setAttribute("aria-label", this.info.name);
    if (!this.answer) return;
    verdict.textContent = there ? "there" : "not there";
    verdict.classList.add(there ? "there" : "absent");
    this.canvas.setAttribute("aria-label", `${this.info.name}: the object is ${verdict.textContent}`);
    const { presence, score, disagreement, objects } = this.answer;
    if (there && objects) fact(facts, "count", objects.length, 0);
    fact(facts, "presence", presence);
    if (there) fact(facts, "score", score);
    if (disagreement !== null) fact(facts, "disagreement", disagreement);
  }
}

function fact(list, name, value, digits = 2) {
  const [term, told] = [document.createElement("dt"), document.createElement("dd")];
  [term.textContent, told.textContent] = [name, value.toFixed(digits)];
  list.append(term, told);
}

function layer(shown, colour, alpha) {
  const canvas = blank(shown.naturalWidth, shown.naturalHeight);
  const context = canvas.getContext("2d");
  context.drawImage(shown, 0, 0);
  tint(context, colour, alpha);
  return canvas;
}
