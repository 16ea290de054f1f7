/* Days as people write them, from and to the service's UTC times. */

const DAY_MS = 86_400_000;
const language = document.documentElement.lang;
const format = (options) => new Intl.DateTimeFormat(language, options);
const weekday = format({ weekday: "long" });
const dayThisYear = format({ day: "numeric", month: "short" });
const dayOfYear = format({ day: "numeric", month: "short", year: "numeric" });
const exact = format({ dateStyle: "full", timeStyle: "short" });

/** The last second of a day (`2026-03-09`) where this person is, as UTC; null without a day. */
export function endOfLocalDay(day) {
  return day ? new Date(`${day}T23:59:59`).toISOString() : null;
}

/** The day of a UTC time where this person is, as a date input takes it. */
export function localDay(time) {
  if (!time) return "";
  const date = new Date(time);
  const two = (number) => String(number).padStart(2, "0");
  return `${String(date.getFullYear()).padStart(4, "0")}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

export const exactTime = (time) => exact.format(new Date(time));

/** Name a day as one would in speech: today, Friday (within six days ahead), Mar 9. */
export function dayName(time, now = new Date()) {
  const date = new Date(time);
  const midnight = (moment) => new Date(moment.getFullYear(), moment.getMonth(), moment.getDate());
  const days = Math.round((midnight(date) - midnight(now)) / DAY_MS);
  const near = { "-1": "yesterday", 0: "today", 1: "tomorrow" }[days];
  if (near) return near;
  if (days > 1 && days < 7) return weekday.format(date);
  return (date.getFullYear() === now.getFullYear() ? dayThisYear : dayOfYear).format(date);
}
