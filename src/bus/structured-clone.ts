declare global {
  // Every JavaScript runtime has it, but the language's own type library does not.
  function structuredClone<T>(value: T): T;
}

/** A copy of a device's state that shares nothing with it. */
export function cloneState<T>(state: T): T {
  return structuredClone(state);
}
