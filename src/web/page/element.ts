import { invariant } from "../../layout/invariant.ts";

/** The element of index.html with this id, which is of this kind. */
export function element<E extends HTMLElement>(id: string, kind: new () => E): E {
  const found = document.getElementById(id);
  invariant(found instanceof kind, `index.html has a ${kind.name} with the id ${id}`);
  return found;
}

/** The control of a form with this name. */
export function control<E extends HTMLElement>(form: HTMLFormElement, name: string, kind: new () => E): E {
  const found = form.elements.namedItem(name);
  invariant(found instanceof kind, `the form has a ${kind.name} with the name ${name}`);
  return found;
}
