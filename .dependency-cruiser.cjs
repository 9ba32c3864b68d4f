// Imports follow the way of the data and never point back up this list.
const order = [
  'cli',
  'lab',
  'scenarios',
  'report',
  'diagnosis',
  'analysis',
  'rules',
  'knowledge',
  'evidence',
  'paths',
  'events',
  'capture',
  'probes',
  'bpf',
  'base',
];
// Neighbours that share a place in the order (cold-path inputs of diagnosis) and must not know each other.
const strangers = [
  ['rules', 'evidence'],
  ['rules', 'knowledge'],
  ['knowledge', 'evidence'],
  ['evidence', 'knowledge'],
  ['evidence', 'rules'],
  ['knowledge', 'rules'],
  ['evidence', 'paths'],
  ['knowledge', 'paths'],
  ['lab', 'scenarios'],
  ['scenarios', 'lab'],
];
module.exports = {
  forbidden: [
    {
      name: 'no-circular',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    ...order.slice(1).map((folder, i) => ({
      name: `no-import-up-from-${folder}`,
      severity: 'error',
      from: { path: `^src/${folder}/` },
      to: { path: `^src/(${order.slice(0, i + 1).join('|')})/` },
    })),
    ...strangers.map(([a, b]) => ({
      name: `${a}-not-${b}`,
      severity: 'error',
      from: { path: `^src/${a}/` },
      to: { path: `^src/${b}/` },
    })),
    { name: 'no-orphan-folders', severity: 'error', from: {}, to: { path: `^src/(?!(${order.join('|')})/)[^/]+/` } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
  },
};
