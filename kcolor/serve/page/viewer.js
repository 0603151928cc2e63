/** The photograph on the screen: before and after, zoom, and painting of hints. */

const ZOOMS = [1, 1.5, 2, 3, 4, 6, 8];
const SVG = "http://www.w3.org/2000/svg";
/** Share of the photograph that an arrow key moves the cross by. */
const MOVE = 0.02;

export class Viewer {
  /**
   * @param {Record<string, any>} page  Elements by their id.
   * @param {(hint: import("./hints.js").Hint) => void} add  Takes a painted hint.
   * @param {(text: string) => void} say  Tells a screen reader.
   */
  constructor(page, add, say) {
    this.page = page;
    this.add = add;
    this.say = say;
    this.size = { width: 1, height: 1 };
    this.zoom = 1;
    this.cross = [0.5, 0.5];
    /** Whether the last hint or move came from the keyboard. */
    this.isCrossShown = false;
    this.hints = [];
    /** @type {[number, number][] | undefined} */
    this.stroke = undefined;
    /** Where each finger on the photograph is, on the screen. */
    this.pointers = new Map();
    /** Whether two fingers move the photograph, until both are away. */
    this.isPanning = false;
    /** Where the line between before and after was when a finger came. */
    this.splitBefore = 0;
    page.split.addEventListener("input", () => this.setSplit(page.split.value));
    page["zoom-in"].addEventListener("click", () => this.step(1));
    page["zoom-out"].addEventListener("click", () => this.step(-1));
    page["zoom-fit"].addEventListener("click", () => this.setZoom(1));
    page.hinting.addEventListener("change", () => this.setHinting());
    page.sheet.addEventListener("pointerdown", (event) => this.press(event));
    page.sheet.addEventListener("pointermove", (event) => this.move(event));
    page.sheet.addEventListener("pointerup", (event) => this.release(event));
    page.sheet.addEventListener("pointercancel", (event) => this.cancel(event));
    page.stage.addEventListener("keydown", (event) => this.key(event));
    addEventListener("resize", () => this.setZoom(this.zoom));
  }

  /** Shows another photograph. @param {{width: number, height: number}} size */
  open(size) {
    this.size = size;
    this.cross = [0.5, 0.5];
    this.stroke = undefined; // It was one on the photograph before.
    this.page.marks.setAttribute("viewBox", `0 0 ${size.width} ${size.height}`);
    this.setZoom(1);
  }

  /** @param {ImageBitmap} before @param {ImageBitmap} after */
  draw(before, after) {
    for (const [name, image] of Object.entries({ before, after })) {
      const canvas = this.page[name];
      canvas.width = image.width;
      canvas.height = image.height;
      canvas.getContext("2d").drawImage(image, 0, 0);
    }
  }

  /**
   * Shows where hints are.
   * @param {import("./hints.js").Hint[]} hints
   * @param {import("./hints.js").Hint} [drawn]  One that is being painted.
   */
  mark(hints, drawn) {
    this.hints = hints;
    const { marks } = this.page;
    marks.replaceChildren();
    const dot = Math.max(this.size.width, this.size.height) / 120 / this.zoom;
    for (const { points, color, radius } of drawn ? [...hints, drawn] : hints) {
      const wide = 2 * Math.max(radius, dot);
      if (points.length > 1) {
        line(marks, points, { stroke: color, "stroke-width": wide, "stroke-opacity": 0.4 });
      }
      const [cx, cy] = points[0];
      const around = { fill: color, "stroke-width": dot / 3, class: "edge" };
      marks.append(shape("circle", { cx, cy, r: dot, ...around }));
    }
    if (this.page.hinting.checked && this.isCrossShown) {
      const x = this.cross[0] * this.size.width;
      const y = this.cross[1] * this.size.height;
      const reach = 3 * dot;
      const ways = [[[x - reach, y], [x + reach, y]], [[x, y - reach], [x, y + reach]]];
      for (const [name, wide] of [["edge", dot / 1.5], ["cross", dot / 4]]) {
        for (const way of ways) line(marks, way, { class: name, "stroke-width": wide });
      }
    }
  }

  setSplit(percent) {
    this.page.split.value = percent;
    this.page.sheet.style.setProperty("--split", `${percent}%`);
    this.page.sheet.classList.toggle("split", Number(percent) > 0);
  }

  setHinting() {
    this.page.sheet.classList.toggle("hinting", this.page.hinting.checked);
    this.mark(this.hints);
  }

  step(direction) {
    const at = ZOOMS.indexOf(this.zoom) + direction;
    if (at >= 0 && at < ZOOMS.length) this.setZoom(ZOOMS[at]);
  }

  setZoom(zoom) {
    const { stage, sheet } = this.page;
    const center = [
      (stage.scrollLeft + stage.clientWidth / 2) / Math.max(sheet.clientWidth, 1),
      (stage.scrollTop + stage.clientHeight / 2) / Math.max(sheet.clientHeight, 1),
    ];
    this.zoom = zoom;
    const { width, height } = this.size;
    const room = stage.clientWidth || 300;
    const fitted = Math.min(room, (innerHeight * 0.76 * width) / height);
    sheet.style.width = `${fitted * zoom}px`;
    sheet.style.height = `${(fitted * zoom * height) / width}px`;
    stage.scrollLeft = center[0] * sheet.clientWidth - stage.clientWidth / 2;
    stage.scrollTop = center[1] * sheet.clientHeight - stage.clientHeight / 2;
    sheet.classList.toggle("zoomed", zoom > 1);
    this.page.zoom.textContent = `${Math.round(zoom * 100)}%`;
    this.page["zoom-out"].disabled = zoom === ZOOMS[0];
    this.page["zoom-in"].disabled = zoom === ZOOMS.at(-1);
    this.mark(this.hints);
  }

  /** Place of a pointer in the photograph, in pixels. */
  place(event) {
    const area = this.page.sheet.getBoundingClientRect();
    const inside = (value, side) => Math.min(Math.max(value, 0), 0.999999) * side;
    return [
      inside((event.clientX - area.left) / area.width, this.size.width),
      inside((event.clientY - area.top) / area.height, this.size.height),
    ];
  }

  press(event) {
    if (event.button !== 0) return;
    this.page.sheet.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (this.pointers.size > 1) {
      // Two fingers move the photograph; what one of them began is taken back.
      this.isPanning = true;
      this.stroke = undefined;
      this.mark(this.hints);
      return;
    }
    this.splitBefore = this.page.split.value;
    if (this.page.hinting.checked) {
      event.preventDefault();
      this.isCrossShown = false;
      this.stroke = [this.place(event)];
    } else if (!this.isPan(event)) {
      this.setSplit((100 * this.place(event)[0]) / this.size.width);
    }
  }

  /** Whether a finger moves an enlarged photograph, which the browser sees to. */
  isPan(event) {
    return event.pointerType === "touch" && this.zoom > 1 && !this.page.hinting.checked;
  }

  move(event) {
    const last = this.pointers.get(event.pointerId);
    if (!last) return;
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (this.isPanning) {
      this.page.stage.scrollLeft -= (event.clientX - last[0]) / this.pointers.size;
      this.page.stage.scrollTop -= (event.clientY - last[1]) / this.pointers.size;
      return;
    }
    const place = this.place(event);
    if (this.stroke) {
      const end = this.stroke.at(-1);
      const far = Math.hypot(place[0] - end[0], place[1] - end[1]);
      // Closer points would ask for exact colors twice within a pixel of the view.
      if (far >= Math.max(this.radius(), Math.max(this.size.width, this.size.height) / 80)) {
        this.stroke.push(place);
        this.mark(this.hints, this.hint(this.stroke));
      }
    } else if (!this.page.hinting.checked && !this.isPan(event)) {
      this.setSplit((100 * place[0]) / this.size.width);
    }
  }

  /** A finger that scrolls the page after all. */
  cancel(event) {
    const wasPanning = this.isPanning;
    this.lift(event);
    if (!this.stroke && !wasPanning && !this.isPan(event)) this.setSplit(this.splitBefore);
    this.stroke = undefined;
    this.mark(this.hints);
  }

  lift(event) {
    this.pointers.delete(event.pointerId);
    if (!this.pointers.size) this.isPanning = false;
  }

  release(event) {
    this.lift(event);
    if (!this.stroke) return;
    const points = this.stroke;
    this.stroke = undefined;
    this.add(this.hint(points));
  }

  radius() {
    return (this.page.brush.value * Math.min(this.size.width, this.size.height)) / 100;
  }

  hint(points) {
    return { points, color: this.page.color.value, radius: this.radius() };
  }

  key(event) {
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const way = ways[event.key];
    if (!this.page.hinting.checked) {
      if (way?.[0] && this.zoom === 1) {
        event.preventDefault();
        const split = Number(this.page.split.value) + 5 * way[0];
        this.setSplit(Math.min(Math.max(split, 0), 100));
      }
      return;
    }
    this.isCrossShown = true;
    if (way) {
      const step = event.shiftKey ? MOVE / 5 : MOVE;
      this.cross = this.cross.map((at, axis) =>
        Math.min(Math.max(at + way[axis] * step, 0), 0.9999),
      );
      const [x, y] = this.cross.map((at) => Math.round(100 * at));
      this.say(`Cross at ${x}% from the left, ${y}% from the top`);
      this.mark(this.hints);
    } else if (event.key === "Enter" || event.key === " ") {
      const point = [this.cross[0] * this.size.width, this.cross[1] * this.size.height];
      this.add(this.hint([/** @type {[number, number]} */ (point)]));
    } else {
      return;
    }
    event.preventDefault();
  }
}

function line(parent, points, attributes) {
  const round = { fill: "none", "stroke-linecap": "round", "stroke-linejoin": "round" };
  parent.append(shape("polyline", { points: points.join(" "), ...round, ...attributes }));
}

function shape(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
