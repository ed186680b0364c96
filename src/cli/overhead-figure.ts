import { BarChart } from "echarts/charts";
import { GridComponent, LegendComponent, TitleComponent } from "echarts/components";
import * as echarts from "echarts/core";
import { SVGRenderer } from "echarts/renderers";
import type { OverheadReport } from "../machine/overhead-report.ts";

const WIDTH = 1000;
const HEIGHT = 560;

/** Bars of the figure, from left to right: what each is, and the groups of a report that it adds up. */
const BARS: readonly (readonly [label: string, groups: readonly string[]])[] = [
  ["translation", ["translation"]],
  ["look-ups,\nlinks", ["engine"]],
  ["memory", ["memory"]],
  ["strings", ["string"]],
  ["faults", ["fault"]],
  ["interrupts", ["interrupt", "apic"]],
  ["privileged", ["privilege"]],
  ["system", ["system"]],
  ["ports", ["ports"]],
  ["devices", ["devices"]],
];

/**
 * An SVG figure of what beside the guest's own code took time, by kind, as in
 * "A Comparison of Software and Hardware Techniques for x86 Virtualization"
 * (Adams and Agesen, 2006), figure 5: a group of bars for each kind, a bar for
 * each run, host seconds upward.
 */
export function overheadFigure(
  runs: readonly { readonly name: string; readonly report: OverheadReport }[],
): string {
  echarts.use([BarChart, GridComponent, LegendComponent, SVGRenderer, TitleComponent]);
  const chart = echarts.init(null, null, { renderer: "svg", ssr: true, width: WIDTH, height: HEIGHT });
  chart.setOption({
    animation: false,
    backgroundColor: "#ffffff",
    title: { text: "Sources of overhead", left: "center" },
    legend: { bottom: 0 },
    grid: { left: 70, right: 20, top: 50, bottom: 90 },
    xAxis: { type: "category", data: BARS.map(([label]) => label), axisLabel: { interval: 0 } },
    yAxis: { type: "value", name: "host seconds", nameLocation: "middle", nameGap: 45 },
    series: runs.map(({ name, report }) => ({
      type: "bar",
      name: `${name} (${report.engine})`,
      data: BARS.map(([, groups]) => seconds(report, groups)),
      label: {
        show: true,
        position: "top",
        fontSize: 10,
        formatter: ({ value }: { value: unknown }) => Number(value).toFixed(2),
      },
    })),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

function seconds({ kinds, devices }: OverheadReport, groups: readonly string[]): number {
  let ns = 0;
  for (const kind of kinds) if (groups.includes(kind.group)) ns += kind.ns;
  for (const device of devices)
    if (groups.includes(device.space === "ports" ? "ports" : "devices")) ns += device.ns;
  return ns / 1e9;
}
