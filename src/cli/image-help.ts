import { IMAGE_COMMANDS, type ImageCommandName } from "./image-options.ts";
import { optionLines } from "./option-lines.ts";

const USAGE: Record<ImageCommandName, readonly string[]> = {
  pull: [
    "usage: ringfence pull debian [OPTION]...",
    "",
    "Builds an image with Debian for amd64 out of Debian's packages, in a machine of Ringfence's own. Needs Debian's",
    "apt-get and dpkg-deb, and no rights. `ringfence run debian` starts it; root is logged in on the serial console.",
  ],
  import: [
    "usage: ringfence import FILE [OPTION]...",
    "",
    "Makes an image of a container image: a tar archive of a root file system, an archive of docker (docker save) or of",
    "an OCI image layout, or a layout's folder. `run` starts its entry point as its user, and ends with its status;",
    "`ringfence run NAME COMMAND` gives it another command, and options of `run` another environment or user, for instance.",
  ],
  images: ["usage: ringfence images [OPTION]...", "", "Lists the images that are there."],
  inspect: ["usage: ringfence inspect NAME [OPTION]...", "", "Shows an image's manifest."],
  rm: [
    "usage: ringfence rm NAME...",
    "",
    "Removes images, with everything that machines wrote to their disks.",
  ],
};

export function imageHelp(command: ImageCommandName): string {
  return [...USAGE[command], "", ...optionLines(IMAGE_COMMANDS[command]), ""].join("\n");
}
