// Entry of the analysis Worker when vdiag runs from its sources: a thread does not inherit the TypeScript loader of the
// thread that starts it. Not part of the build.
import { register } from 'tsx/esm/api';

register();
await import('./worker.ts');
