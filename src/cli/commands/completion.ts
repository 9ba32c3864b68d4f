import { Argument, Command } from 'commander';

type Shell = 'bash' | 'zsh' | 'fish';

/** `vdiag completion SHELL`: a completion script made from the command tree itself, so it cannot lag behind it. */
export function completionCommand(program: () => Command): Command {
  return new Command('completion')
    .description('print a completion script for a shell')
    .addArgument(new Argument('<shell>', 'which shell').choices(['bash', 'zsh', 'fish']))
    .addHelpText(
      'after',
      `
Examples:
  vdiag completion bash > /etc/bash_completion.d/vdiag
  vdiag completion zsh > "\${fpath[1]}/_vdiag"
  vdiag completion fish > ~/.config/fish/completions/vdiag.fish`,
    )
    .action((shell: Shell) => {
      process.stdout.write({ bash, zsh, fish }[shell](entries(program())));
    });
}

interface Entry {
  /** Words after `vdiag`: `[]`, `['rules']`, `['rules', 'lint']`. */
  words: string[];
  commands: { name: string; description: string }[];
  options: { long: string; description: string; value: boolean; choices: readonly string[] }[];
}

function entries(command: Command, words: string[] = []): Entry[] {
  const children = command.commands as Command[];
  return [
    {
      words,
      commands: children.map((child) => ({ name: child.name(), description: child.description() })),
      options: [...command.options, ...(words.length > 0 ? (command.parent?.options ?? []) : [])].flatMap((option) =>
        option.long
          ? [
              {
                long: option.long,
                description: option.description,
                value: option.required || option.optional,
                choices: option.argChoices ?? [],
              },
            ]
          : [],
      ),
    },
    ...children.flatMap((child) => entries(child, [...words, child.name()])),
  ];
}

function bash(all: Entry[]): string {
  const cases = all
    .map((entry) => {
      const words = [...entry.commands.map((c) => c.name), ...entry.options.map((o) => o.long)].join(' ');
      return `    ' ${entry.words.join(' ')}') words='${words}' ;;`;
    })
    .join('\n');
  const values = choiceCases(all, (choices) => `words='${choices.join(' ')}'`);
  return `# bash completion for vdiag
_vdiag() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} path='' word words=''
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in -*) break ;; esac
    path="$path $word"
  done
  case "\${path:- }" in
${cases}
  esac
  case $previous in
${values}
  esac
  COMPREPLY=( $(compgen -W "$words" -- "$current") )
  [ \${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=( $(compgen -f -- "$current") )
}
complete -F _vdiag vdiag
`;
}

function zsh(all: Entry[]): string {
  const cases = all
    .map((entry) => {
      const list = [
        ...entry.commands.map((c) => `'${c.name}:${quote(c.description)}'`),
        ...entry.options.map((o) => `'${o.long}:${quote(o.description)}'`),
      ].join(' ');
      return `    '${entry.words.join(' ')}') list=(${list}) ;;`;
    })
    .join('\n');
  return `#compdef vdiag
_vdiag() {
  local -a list path
  local word
  for word in \${words[2,CURRENT-1]}; do
    [[ $word == -* ]] && break
    path+=$word
  done
  case "\${path[*]}" in
${cases}
  esac
  _describe vdiag list || _files
}
compdef _vdiag vdiag
`;
}

function fish(all: Entry[]): string {
  const lines = all.flatMap((entry) => {
    const seen =
      entry.words.length === 0
        ? '__fish_use_subcommand'
        : entry.words.map((w) => `__fish_seen_subcommand_from ${w}`).join('; and ');
    return [
      ...entry.commands.map((c) => `complete -c vdiag -f -n '${seen}' -a ${c.name} -d '${quote(c.description)}'`),
      ...entry.options.map(
        (o) =>
          `complete -c vdiag -n '${seen}' -l ${o.long.slice(2)}${o.value ? ' -r' : ''}${o.choices.length > 0 ? ` -a '${o.choices.join(' ')}'` : ''} -d '${quote(o.description)}'`,
      ),
    ];
  });
  return `# fish completion for vdiag\n${lines.join('\n')}\n`;
}

function choiceCases(all: Entry[], body: (choices: readonly string[]) => string): string {
  const byOption = new Map(
    all.flatMap((entry) => entry.options.filter((o) => o.choices.length > 0).map((o) => [o.long, o.choices] as const)),
  );
  return [...byOption].map(([long, choices]) => `    ${long}) ${body(choices)} ;;`).join('\n') || '    *) ;;';
}

function quote(text: string): string {
  return text.replaceAll("'", '').replaceAll(':', ' ');
}
