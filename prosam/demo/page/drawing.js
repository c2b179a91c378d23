// The reference with its annotation: a mask, a scribble, points or a box.

const SMALLEST = 512; // px of the canvas' longer side, so that one can paint on small images, too
const LARGEST = 1024;
const COLOUR = "#ff2d95";
const UNDONE = 20;

/** An empty canvas of a given size. */
export function blank(width, height) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  return canvas;
}

export class Drawing {
  /** Draw on a canvas; `changed` is called after something was drawn. */
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.changed = changed;
    this.kind = "mask";
    this.brush = 6; // percent of the canvas' longer side
    this.erasing = false;
    this.cross = null; // where the keyboard points
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", () => this.#up());
    canvas.addEventListener("pointercancel", () => this.#up());
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("blur", () => this.#hideCross());
  }

  /** Show an image of `info.width` x `info.height` px with nothing drawn on it. */
  load(info, picture) {
    const longer = Math.max(info.width, info.height);
    const scale = Math.min(Math.max(longer, SMALLEST), LARGEST) / longer;
    this.info = info;
    this.picture = picture;
    this.canvas.width = Math.max(1, Math.round(info.width * scale));
    this.canvas.height = Math.max(1, Math.round(info.height * scale));
    this.layers = {
      mask: blank(this.canvas.width, this.canvas.height),
      scribble: blank(this.canvas.width, this.canvas.height),
    };
    this.points = [];
    this.box = null;
    this.corner = null;
    this.past = [];
    this.render();
  }

  /** Take a mask as if it were painted; it is white where the object is. */
  paintMask(picture) {
    const layer = this.layers.mask.getContext("2d");
    layer.drawImage(picture, 0, 0, this.canvas.width, this.canvas.height);
    tint(layer, COLOUR, (grey) => (grey > 127 ? 255 : 0));
    this.render();
  }

  /** Take a box or points as if they were drawn, px of the image. */
  take({ box = null, points = [] }) {
    [this.box, this.points] = [box, points];
    this.render();
  }

  /** The drawing as the server takes it; null if nothing is drawn. */
  get content() {
    if (!this.info) return null;
    if (this.kind === "point") return this.points.length ? { kind: "point", points: this.points } : null;
    if (this.kind === "box") return this.box ? { kind: "box", box: this.box } : null;
    const layer = this.layers[this.kind];
    const { data } = layer.getContext("2d").getImageData(0, 0, layer.width, layer.height);
    for (let i = 3; i < data.length; i += 4) {
      if (data[i] > 127) return { kind: this.kind, png: layer.toDataURL("image/png") };
    }
    return null;
  }

  clear() {
    this.#remember();
    if (this.#layer) this.#layer.clearRect(0, 0, this.canvas.width, this.canvas.height);
    else if (this.kind === "point") this.points = [];
    else this.box = null;
    this.corner = null;
    this.render();
    this.changed();
  }

  undo() {
    const restore = this.past.pop();
    if (!restore) return;
    restore();
    this.corner = null;
    this.render();
    this.changed();
  }

  render() {
    if (!this.info) return;
    const context = this.canvas.getContext("2d");
    const { width, height } = this.canvas;
    context.drawImage(this.picture, 0, 0, width, height);
    context.strokeStyle = context.fillStyle = COLOUR;
    context.lineWidth = Math.max(2, width / 200);
    const [across, down] = [width / this.info.width, height / this.info.height];
    if (this.#layer) {
      context.globalAlpha = 0.55;
      context.drawImage(this.layers[this.kind], 0, 0);
      context.globalAlpha = 1;
    } else if (this.kind === "point") {
      for (const [x, y] of this.points) dot(context, x * across, y * down, width / 100);
    } else if (this.box) {
      const [x0, y0, x1, y1] = this.box;
      context.strokeRect(x0 * across, y0 * down, (x1 - x0) * across, (y1 - y0) * down);
    }
    if (this.corner && !this.box) dot(context, ...this.corner, width / 150);
    if (this.cross) this.#drawCross(context);
  }

  get #layer() {
    return this.kind === "mask" || this.kind === "scribble" ? this.layers[this.kind].getContext("2d") : null;
  }

  #remember() {
    const { kind, points, box } = this;
    const layer = this.#layer;
    const pixels = layer?.getImageData(0, 0, this.canvas.width, this.canvas.height);
    this.past.push(() => {
      [this.points, this.box] = [points, box];
      if (pixels) this.layers[kind].getContext("2d").putImageData(pixels, 0, 0);
    });
    if (this.past.length > UNDONE) this.past.shift();
  }

  #position(event) {
    // the canvas may be letterboxed in its element
    const shown = this.canvas.getBoundingClientRect();
    const scale = Math.min(shown.width / this.canvas.width, shown.height / this.canvas.height);
    const left = shown.left + (shown.width - this.canvas.width * scale) / 2;
    const top = shown.top + (shown.height - this.canvas.height * scale) / 2;
    return this.#inside((event.clientX - left) / scale, (event.clientY - top) / scale);
  }

  #inside(x, y) {
    return [Math.min(Math.max(x, 0), this.canvas.width), Math.min(Math.max(y, 0), this.canvas.height)];
  }

  #down(event) {
    if (!this.info || event.button !== 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.cross = null;
    this.#begin(this.#position(event));
  }

  #begin(at) {
    this.#remember();
    this.last = at;
    this.pressed = true;
    if (this.kind === "point") this.#addPoint(at);
    else if (this.kind === "box") [this.corner, this.box] = [at, null];
    else this.#stroke(at, at);
    this.render();
  }

  #move(event) {
    if (!this.pressed) return;
    const at = this.#position(event);
    if (this.kind === "box") this.#boxTo(at);
    else if (this.#layer) this.#stroke(this.last, at);
    this.last = at;
    this.render();
  }

  #up() {
    if (!this.pressed) return;
    this.pressed = false;
    this.corner = null;
    this.render();
    this.changed();
  }

  #stroke([x0, y0], [x1, y1]) {
    const layer = this.#layer;
    layer.globalCompositeOperation = this.erasing ? "destination-out" : "source-over";
    layer.strokeStyle = COLOUR;
    layer.lineCap = "round";
    layer.lineWidth = (this.brush / 100) * Math.max(this.canvas.width, this.canvas.height);
    layer.beginPath();
    layer.moveTo(x0, y0);
    layer.lineTo(x1, y1);
    layer.stroke();
  }

  /** Add a point, or erase the nearest, in the image's own pixels; the point is kept inside the image. */
  #addPoint([x, y]) {
    const { width, height } = this.info;
    const own = [(x / this.canvas.width) * width, (y / this.canvas.height) * height];
    if (this.erasing) {
      const away = (point) => Math.hypot(point[0] - own[0], point[1] - own[1]);
      const nearest = Math.min(...this.points.map(away));
      this.points = this.points.filter((point) => away(point) > nearest);
    } else {
      this.points = [...this.points, [Math.min(own[0], width - 0.5), Math.min(own[1], height - 0.5)]];
    }
  }

  #boxTo([x, y]) {
    const { width, height } = this.info;
    const [across, down] = [width / this.canvas.width, height / this.canvas.height];
    const [x0, x1] = [this.corner[0], x].sort((a, b) => a - b);
    const [y0, y1] = [this.corner[1], y].sort((a, b) => a - b);
    const corner = [Math.min(x1 * across, width), Math.min(y1 * down, height)]; // rounding may lead outside the image
    this.box = x0 < x1 && y0 < y1 ? [x0 * across, y0 * down, ...corner] : null;
  }

  #key(event) {
    if (!this.info) return;
    const step = (Math.max(this.canvas.width, this.canvas.height) * (event.shiftKey ? 8 : 1)) / 100;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    const move = moves[event.key];
    if (!move && event.key !== " ") return;
    event.preventDefault();
    this.cross ??= [this.canvas.width / 2, this.canvas.height / 2];
    if (move) {
      this.cross = this.#inside(this.cross[0] + move[0], this.cross[1] + move[1]);
      if (this.kind === "box" && this.corner) this.#boxTo(this.cross);
    } else if (this.kind === "box" && this.corner) {
      this.#up();
    } else {
      this.#begin(this.cross);
      this.pressed = this.kind === "box";
      if (!this.pressed) this.changed();
    }
    this.render();
  }

  /** When the canvas loses the focus, a drawing that was begun ends. */
  #hideCross() {
    const begun = this.pressed;
    this.cross = null;
    this.pressed = false;
    this.corner = null;
    this.render();
    if (begun) this.changed();
  }

  #drawCross(context) {
    const [x, y] = this.cross;
    const arm = this.canvas.width / 30;
    for (const [colour, width] of [["#000", 5], ["#fff", 2]]) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.beginPath();
      context.moveTo(x - arm, y);
      context.lineTo(x + arm, y);
      context.moveTo(x, y - arm);
      context.lineTo(x, y + arm);
      context.stroke();
    }
  }
}

function dot(context, x, y, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
  context.save();
  context.strokeStyle = "#fff";
  context.stroke();
  context.restore();
}

/** Give a grey picture a colour; its opacity is `alpha` of the grey value. */
export function tint(context, colour, alpha) {
  const { width, height } = context.canvas;
  const pixels = context.getImageData(0, 0, width, height);
  const [red, green, blue] = [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
  for (let i = 0; i < pixels.data.length; i += 4) {
    const opaque = alpha(pixels.data[i]);
    pixels.data.set([red, green, blue, opaque], i);
  }
  context.putImageData(pixels, 0, 0);
}
