import type { Report } from './types.js';

/** The report as one JSON document (schema: docs/schema/report.schema.json). */
export function renderJson(report: Report): string {
  return `${JSON.stringify(report, null, 2)}\n`;
}
