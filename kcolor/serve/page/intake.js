/** How photographs come in: chosen, dropped, pasted. */

/**
 * @param {HTMLElement} zone  Where they may be dropped; the whole page takes them, too.
 * @param {HTMLInputElement} input
 * @param {(files: File[]) => void} take
 */
export function listen(zone, input, take) {
  input.addEventListener("change", () => {
    take([...input.files]);
    input.value = ""; // The same file may be chosen again.
  });
  addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) zone.classList.remove("over");
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    take([...event.dataTransfer.files]);
  });
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) take(files);
  });
}
