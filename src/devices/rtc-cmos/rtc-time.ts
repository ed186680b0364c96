// Calendar fields of the RTC in the forms that register B chooses.
// Source: Motorola MC146818 datasheet, "Time, Calendar and Alarm Locations".

export const REG_B_24_HOUR = 1 << 1;
export const REG_B_BINARY = 1 << 2;

/** Register number -> raw value, for the ten calendar registers. */
export interface CalendarRegisters {
  seconds: number;
  minutes: number;
  hours: number;
  weekday: number;
  day: number;
  month: number;
  year: number;
  century: number;
}

const PM = 0x80;

/** What the registers show for a time. `regB` gives the form. */
export function encodeCalendar(unixSeconds: number, regB: number): CalendarRegisters {
  const date = new Date(unixSeconds * 1000);
  const year = date.getUTCFullYear();
  return {
    seconds: encode(date.getUTCSeconds(), regB),
    minutes: encode(date.getUTCMinutes(), regB),
    hours: encodeHours(date.getUTCHours(), regB),
    weekday: encode(date.getUTCDay() + 1, regB),
    day: encode(date.getUTCDate(), regB),
    month: encode(date.getUTCMonth() + 1, regB),
    year: encode(year % 100, regB),
    century: encode(Math.floor(year / 100), regB),
  };
}

/** The time that the registers show. Days past the end of a month run into the next. */
export function decodeCalendar(registers: CalendarRegisters, regB: number): number {
  const year = decode(registers.century, regB) * 100 + decode(registers.year, regB);
  return (
    Date.UTC(
      year,
      decode(registers.month, regB) - 1,
      decode(registers.day, regB),
      decodeHours(registers.hours, regB),
      decode(registers.minutes, regB),
      decode(registers.seconds, regB),
    ) / 1000
  );
}

function encode(value: number, regB: number): number {
  return (regB & REG_B_BINARY) !== 0 ? value : (Math.floor(value / 10) << 4) | (value % 10);
}

function decode(raw: number, regB: number): number {
  return (regB & REG_B_BINARY) !== 0 ? raw : (raw >> 4) * 10 + (raw & 15);
}

function encodeHours(hours: number, regB: number): number {
  if ((regB & REG_B_24_HOUR) !== 0) return encode(hours, regB);
  return encode(hours % 12 === 0 ? 12 : hours % 12, regB) | (hours >= 12 ? PM : 0);
}

function decodeHours(raw: number, regB: number): number {
  if ((regB & REG_B_24_HOUR) !== 0) return decode(raw, regB);
  return (decode(raw & ~PM, regB) % 12) + ((raw & PM) !== 0 ? 12 : 0);
}
