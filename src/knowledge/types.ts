export type Language = 'en' | 'zh';

export interface Remedy {
  /** Command or action; a template filled from the diagnosis. */
  do: string;
  effect: string;
  risk: 'none' | 'low' | 'medium' | 'high';
  verify?: string;
  undo?: string;
  persist?: string;
}

/** A page of the knowledge base in one language. */
export interface Article {
  id: string;
  language: Language;
  title: string;
  /** Ids of the rules and diagnoses it explains. */
  appliesTo: string[];
  symptoms: string[];
  causes: string[];
  remedies: Remedy[];
  references: string[];
  kernels?: string;
  /** Markdown. */
  body: string;
  file: string;
}
