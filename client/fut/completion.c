/* fut completion SHELL: a script that asks `fut __complete` at every TAB, so that ids, pools and functions are those there are now. */
#include <string.h>

#include "client/fut/args.h"
#include "client/fut/common.h"

static const char bash[] =
	"# fut's completion for bash: eval \"$(fut completion bash)\", or put this into ~/.local/share/bash-completion/completions/fut\n"
	"_fut() {\n"
	"	local cur=${COMP_WORDS[COMP_CWORD]} rest=$COMP_LINE line at word i\n"
	"	local -a words=() from=()\n"
	"	COMPREPLY=()\n"
	"	# bash takes words apart at = and :, here they are whole again; from[] is where each begins.\n"
	"	for ((i = 0; i <= COMP_CWORD; i++)); do\n"
	"		word=${rest#\"${rest%%[![:blank:]]*}\"}\n"
	"		if ((i == 0)) || [ \"$word\" != \"$rest\" ] || [ -z \"$COMP_LINE\" ]; then\n"
	"			from+=(\"$i\") words+=(\"${COMP_WORDS[i]}\")\n"
	"		else\n"
	"			words[${#words[@]}-1]+=${COMP_WORDS[i]}\n"
	"		fi\n"
	"		rest=${word:${#COMP_WORDS[i]}}\n"
	"	done\n"
	"	# What is quoted is meant without its quotes.\n"
	"	for ((i = 1; i < ${#words[@]}; i++)); do\n"
	"		case ${words[i]} in\n"
	"		[\\'\\\"]*) words[i]=${words[i]:1}; ((i == ${#words[@]} - 1)) || words[i]=${words[i]%?} ;;\n"
	"		*) words[i]=${words[i]//\\\\/} ;;\n"
	"		esac\n"
	"	done\n"
	"	word=${words[${#words[@]}-1]}\n"
	"	word=${word%\"${word##*[=:]}\"} # readline has that already\n"
	"	while IFS= read -r line; do\n"
	"		case $line in\n"
	"		:files) compopt -o default; return ;;\n"
	"		:directories) compopt -o dirnames; return ;;\n"
	"		\":command \"*)\n"
	"			at=${from[${line#:command }]}\n"
	"			if declare -F _command_offset >/dev/null; then\n"
	"				_command_offset \"$at\"\n"
	"			elif [ \"$COMP_CWORD\" -eq \"$at\" ]; then\n"
	"				mapfile -t COMPREPLY < <(compgen -c -- \"$cur\")\n"
	"			else\n"
	"				compopt -o default\n"
	"			fi\n"
	"			return ;;\n"
	"		*)\n"
	"			line=${line%%$'\\t'*}\n"
	"			line=${line#\"$word\"}\n"
	"			case $cur in\n"
	"			[\\'\\\"]*) COMPREPLY+=(\"$line\") ;;\n"
	"			*)\n"
	"				case $line in *[!A-Za-z0-9_.,:=%/@+-]*) printf -v line %q \"$line\" ;; esac\n"
	"				COMPREPLY+=(\"$line\") ;;\n"
	"			esac ;;\n"
	"		esac\n"
	"	done < <(\"${COMP_WORDS[0]}\" __complete \"${words[@]:1}\" 2>/dev/null)\n"
	"	case ${COMPREPLY[0]-} in *=) compopt -o nospace ;; esac\n"
	"}\n"
	"complete -F _fut fut\n";

static const char zsh[] =
	"#compdef fut\n"
	"# fut's completion for zsh: eval \"$(fut completion zsh)\" after compinit, or save this as _fut in a directory of $fpath\n"
	"_fut() {\n"
	"	local line at\n"
	"	local -a found\n"
	"	for line in \"${(@f)$(\"${words[1]}\" __complete \"${(@Q)words[2,CURRENT]}\" 2>/dev/null)}\"; do\n"
	"		case $line in\n"
	"		:files) compset -P '--*='; _files; return ;;\n"
	"		:directories) compset -P '--*='; _files -/; return ;;\n"
	"		':command '*)\n"
	"			at=${line#:command }\n"
	"			shift $at words\n"
	"			(( CURRENT -= at ))\n"
	"			_normal\n"
	"			return ;;\n"
	"		*$'\\t'*) found+=(\"${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}\") ;;\n"
	"		?*) found+=(\"${line//:/\\\\:}\") ;;\n"
	"		esac\n"
	"	done\n"
	"	(( $#found )) && _describe -V fut found\n"
	"}\n"
	"if [ \"${funcstack[1]-}\" = _fut ]; then _fut \"$@\"; else compdef _fut fut; fi\n";

static const char fish[] =
	"# fut's completion for fish: save this as ~/.config/fish/completions/fut.fish, or fut completion fish | source\n"
	"function __fut_complete\n"
	"	set -l words (commandline -opc)\n"
	"	set -l word (commandline -ct)\n"
	"	test (count $word) -eq 1; or set word ''\n"
	"	set -l found ($words[1] __complete $words[2..] $word 2>/dev/null)\n"
	"	for line in $found\n"
	"		switch $line\n"
	"			case ':files'\n"
	"				__fish_complete_path (string replace -r -- '^--[^=]*=' '' $word)\n"
	"			case ':directories'\n"
	"				__fish_complete_directories (string replace -r -- '^--[^=]*=' '' $word)\n"
	"			case ':command *'\n"
	"				set -l at (string replace ':command ' '' -- $line)\n"
	"				set -l rest $words[(math $at + 1)..] $word\n"
	"				complete -C (string join ' ' -- (string escape -- $rest[1..-2]) $rest[-1])\n"
	"			case '*'\n"
	"				printf '%s\\n' $line\n"
	"		end\n"
	"	end\n"
	"end\n"
	"complete -c fut -f -k -a '(__fut_complete)'\n";

static const struct {
	const char *name, *script;
} shells[] = { { "bash", bash }, { "zsh", zsh }, { "fish", fish } };

static int
completion_main(struct fut *f, int argc, char **argv)
{
	struct args a;

	args_init(&a, f, argc, argv, false);
	if (args_next(&a) != ARGS_END || !args_expect(&a, 1, 1))
		return a.status;
	for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++)
		if (strcmp(shells[i].name, a.operands[0]) == 0) {
			fputs(shells[i].script, stdout);
			return EXIT_OK;
		}
	return args_wrong(f, "there is no completion for '%s', only for bash, zsh and fish", a.operands[0]);
}

const struct verb verb_completion = {
	.name = "completion",
	.operands = "bash | zsh | fish",
	.summary = "print a completion script, which knows ids, pools and functions",
	.examples = "  eval \"$(fut completion bash)\"       # in ~/.bashrc\n"
		    "  eval \"$(fut completion zsh)\"        # in ~/.zshrc, after compinit\n"
		    "  fut completion fish | source        # in config.fish",
	.run = completion_main,
};
