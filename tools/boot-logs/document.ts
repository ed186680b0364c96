export function bootLogsDocument(_: unknown): string { return ""; }
