/** A request header of ours: the run that spans come from, so that a circle of destinations has an end. */
export const VIA_HEADER = 'spanbridge-via'
