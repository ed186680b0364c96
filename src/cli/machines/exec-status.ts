/** `ringfence exec`: the command could not be run. As docker has it, to be told from the command's own statuses. */
export const EXIT_NOT_RUN = 125;
