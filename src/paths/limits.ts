/** What a tracker may hold; the defaults keep it below some 80 MB. */
export interface TrackerLimits {
  /** Packets under way at one time. */
  paths: number;
  /** Events of packets under way. */
  hops: number;
  /** Events of one packet that are kept; later ones are only counted. */
  hopsOfPath: number;
  pairs: number;
  flows: number;
  /** Pairs of which paths are shown. */
  sampledPairs: number;
  /** A packet that does nothing for so long (ns) is given up. */
  idleNs: number;
  /** How long (ns) an ended packet is kept for events that come late, from another CPU. */
  lingerNs: number;
}

export const DEFAULT_LIMITS: TrackerLimits = {
  ...{ paths: 32768, hops: 131072, hopsOfPath: 96, pairs: 256, flows: 16384, sampledPairs: 16 },
  ...{ idleNs: 30e9, lingerNs: 20e6 },
};
