/** Values in JSON that comes from anyone: what is of another type counts as absent. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** The value parsed; undefined when the text is no JSON object. */
export function parseObject(text: string): JsonObject | undefined {
  try {
    return asObject(JSON.parse(text));
  } catch {
    return undefined;
  }
}

export function asObject(value: unknown): JsonObject | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as JsonObject)
    : undefined;
}

export function member(object: JsonObject | undefined, name: string): unknown {
  return object !== undefined && Object.hasOwn(object, name) ? object[name] : undefined;
}

export function textIn(object: JsonObject | undefined, name: string): string | undefined {
  const value = member(object, name);
  return typeof value === "string" ? value : undefined;
}

export function objectIn(object: JsonObject | undefined, name: string): JsonObject | undefined {
  return asObject(member(object, name));
}

export function listIn(object: JsonObject | undefined, name: string): readonly unknown[] {
  const value = member(object, name);
  return Array.isArray(value) ? value : [];
}

export function textsIn(object: JsonObject | undefined, name: string): string[] {
  return listIn(object, name).filter((value) => typeof value === "string");
}
