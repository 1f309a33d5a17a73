/// <reference lib="dom" />

/**
 * Returns the element of index.html with this id.
 *
 * @throws {Error} If there is none.
 */
export function byId(document: Document, id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`index.html has no #${id}`);
  return found;
}

/**
 * Returns the element of a cloned template with this `data-field`.
 *
 * @throws {Error} If there is none.
 */
export function field(root: ParentNode, name: string): HTMLElement {
  const found = root.querySelector<HTMLElement>(`[data-field="${name}"]`);
  if (found === null) throw new Error(`The template has no field ${name}`);
  return found;
}

/** Sets the text only if it changes, because screen readers announce it. */
export function say(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Creates an element with text or children. */
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
