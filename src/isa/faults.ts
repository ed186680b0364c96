/** Exceptions by vector (Intel SDM Vol. 3A, "Exception and Interrupt Vectors"). */
export const FAULTS = {
  "#DE": 0,
  "#DB": 1,
  "#BP": 3,
  "#OF": 4,
  "#BR": 5,
  "#UD": 6,
  "#NM": 7,
  "#DF": 8,
  "#TS": 10,
  "#NP": 11,
  "#SS": 12,
  "#GP": 13,
  "#PF": 14,
  "#MF": 16,
  "#AC": 17,
  "#MC": 18,
  "#XM": 19,
} as const;

export type FaultName = keyof typeof FAULTS;

/** Faults that push an error code. */
export const FAULTS_WITH_ERROR_CODE: readonly FaultName[] = ["#DF", "#TS", "#NP", "#SS", "#GP", "#PF", "#AC"];

/** The fault with a given vector, for messages. */
export function faultName(vector: number): string {
  for (const [name, number] of Object.entries(FAULTS)) if (number === vector) return name;
  return `vector ${vector}`;
}
