/// <reference lib="dom" />

/** The element of the page with this id; index.html has it. */
export function byId(document: Document, id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`index.html has no #${id}`);
  return found;
}

/** The element of a template's copy with this `data-field`. */
export function field(root: ParentNode, name: string): HTMLElement {
  const found = root.querySelector<HTMLElement>(`[data-field="${name}"]`);
  if (found === null) throw new Error(`The template has no field ${name}`);
  return found;
}

/** Says the same again only when it is not the same, which a screen reader would read out. */
export function say(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** A new element with text or children. */
export function element(
  document: Document,
  tag: string,
  content: string | readonly Node[],
  className = "",
): HTMLElement {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...(typeof content === "string" ? [content] : content));
  return made;
}
