//! The manual pages: one of section 1 for each command, and the one of section 8.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::CommandFactory;
use clap_mangen::Man;
use nodedns::cli::args::Cli;
use nodedns::cli::exit::Exit;
use nodedns::cli::help::page::{Block, Page};
use nodedns::cli::help::topics::TOPICS;

/// Every page but nodedns.toml(5), by its path.
pub(super) fn all() -> BTreeMap<PathBuf, String> {
    let mut command = Cli::command();
    command.build();
    let mut files = BTreeMap::from([(PathBuf::from("man/nodedns.8"), daemon())]);
    pages(&command, &mut files);
    files
}

/// nodedns(8): the topics that whoever runs the daemon asks for, one behind the other.
fn daemon() -> String {
    let mut text = format!(
        ".\\\" Made from the source by the test suite; do not edit.\n.ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n\
         .TH NODEDNS 8 \"\" \"nodedns {}\" \"System Administration\"\n\
         .SH NAME\nnodedns \\- keep a node\\*(Aqs own record sets in Route 53 true\n\
         .SH SYNOPSIS\n\\fBnodedns run\\fR [\\fB\\-\\-config\\fR \\fIPATH\\fR] [\\fB\\-\\-dry\\-run\\fR]\n",
        env!("CARGO_PKG_VERSION")
    );
    for (topic, title) in [
        ("daemon", "DESCRIPTION"),
        ("ownership", "OWNERSHIP"),
        ("intents", "INTENTS AND REASONS"),
        ("signals", "SIGNALS OF THE NODE"),
        ("addresses", "ADDRESSES"),
        ("never-empty", "NEVER EMPTY"),
        ("dead-nodes", "DEAD NODES"),
        ("draining", "DRAINING"),
        ("metrics", "METRICS"),
        ("iam", "RIGHTS IN AWS"),
        ("files-and-environment", "FILES AND ENVIRONMENT"),
        ("exit-codes", "EXIT STATUS"),
        ("trouble", "DIAGNOSTICS"),
    ] {
        let topic = TOPICS.iter().find(|known| known.name == topic).expect("a topic");
        text.push_str(&format!(".SH \"{title}\"\n"));
        blocks(&mut text, &topic.page());
    }
    text.push_str(".SH \"SEE ALSO\"\n.BR nodedns (1),\n.BR nodedns.toml (5),\n.BR systemd.service (5)\n");
    text
}

/// An explanation as roff.
fn blocks(text: &mut String, page: &Page) {
    let mut first = true;
    for block in &page.0 {
        match block {
            Block::Heading(heading) => text.push_str(&format!(".SS \"{}\"\n", escape(heading))),
            // Directly below a heading there is space already.
            Block::Paragraph(words) if first => text.push_str(&format!("{}\n", prose(words))),
            Block::Paragraph(words) => text.push_str(&format!(".PP\n{}\n", prose(words))),
            Block::Definition { term, text: meaning } => {
                text.push_str(&format!(".TP\n\\fB{}\\fR\n{}\n", escape(term), prose(meaning)));
            }
            Block::Verbatim(lines) => {
                text.push_str(if first { ".RS 4\n.nf\n" } else { ".PP\n.RS 4\n.nf\n" });
                for line in lines {
                    text.push_str(&format!("\\&{}\n", escape(line)));
                }
                text.push_str(".fi\n.RE\n");
            }
        }
        first = matches!(block, Block::Heading(_));
    }
}

/// A line of roff that begins with no request.
fn prose(words: &str) -> String {
    let text = escape(words);
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

/// Text that roff takes as it is.
fn escape(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\*(Aq").replace('"', "\\(dq")
}

fn pages(command: &clap::Command, files: &mut BTreeMap<PathBuf, String>) {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    files.insert(PathBuf::from(format!("man/{name}.1")), page(command, &name));
    command.get_subcommands().for_each(|command| pages(command, files));
}

fn page(command: &clap::Command, name: &str) -> String {
    let man = Man::new(command.clone())
        .title(name.to_uppercase())
        .source(format!("nodedns {}", env!("CARGO_PKG_VERSION")))
        .manual("User Commands");
    let mut roff = b".\\\" Made from the source by the test suite; do not edit.\n".to_vec();
    man.render_title(&mut roff).expect("title");
    man.render_name_section(&mut roff).expect("name");
    roff.extend(synopsis(command, name).bytes());
    man.render_description_section(&mut roff).expect("description");
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        man.render_options_section(&mut roff).expect("options");
    }
    if command.has_subcommands() {
        man.render_subcommands_section(&mut roff).expect("subcommands");
    }
    let mut text = roff_lines(&tidy(roff));
    let after = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let examples: Vec<&str> =
        after.lines().skip_while(|line| *line != "Examples:").skip(1).take_while(|line| !line.is_empty()).collect();
    if !examples.is_empty() {
        text.push_str(".SH EXAMPLES\n.nf\n");
        for example in examples {
            text.push_str(&format!("\\&{}\n", escape(example.trim())));
        }
        text.push_str(".fi\n");
    }
    if command.get_arguments().any(|argument| argument.get_id() == "output") {
        text.push_str(
            ".SH OUTPUT\nWith \\fB\\-\\-output json\\fR or \\fByaml\\fR it is for programs: \\fBnodedns help output\\fR \
             explains every key.\n",
        );
    }
    if name == "nodedns" {
        text.push_str(".SH TOPICS\n\\fBnodedns help\\fR \\fITOPIC\\fR explains at length:\n");
        for topic in &TOPICS {
            text.push_str(&format!(".TP\n\\fB{}\\fR\n{}\n", escape(topic.name), prose(topic.summary())));
        }
    }
    text.push_str(".SH \"EXIT STATUS\"\n");
    for exit in Exit::ALL {
        text.push_str(&format!(".TP 4\n{}\n{}\n", exit.code(), exit.meaning()));
    }
    text.push_str(".SH FILES\n.TP\n.I /etc/nodedns/nodedns.toml\nThe configuration, see \\fBnodedns.toml\\fR(5).\n");
    text.push_str(".TP\n.I /run/nodedns/nodedns.sock\nThe daemon\\*(Aqs control socket.\n");
    text.push_str(".SH \"SEE ALSO\"\n");
    let parent = name.rsplit_once('-').map(|(parent, _)| format!("{parent}(1)"));
    let children =
        command.get_subcommands().map(|child| format!("{}(1)", child.get_display_name().unwrap_or(child.get_name())));
    let pages: Vec<_> =
        parent.into_iter().chain(children).chain(["nodedns.toml(5)", "nodedns(8)"].map(str::to_owned)).collect();
    text.push_str(&format!("{}\n", pages.join(", ").replace('-', "\\-")));
    text
}

/// How the command is written, with every option and what it takes.
fn synopsis(command: &clap::Command, name: &str) -> String {
    let mut words = vec![format!("\\fB{}\\fR", escape(command.get_bin_name().unwrap_or(name)))];
    let shown = |argument: &&clap::Arg| !argument.is_hide_set();
    for option in command.get_arguments().filter(|argument| !argument.is_positional()).filter(shown) {
        let short = option.get_short().map(|short| format!("-{short}"));
        let names = short.into_iter().chain(option.get_long().map(|long| format!("--{long}")));
        let names: Vec<_> = names.map(|name| format!("\\fB{}\\fR", escape(&name))).collect();
        let takes = option.get_num_args().is_some_and(|count| count.takes_values());
        let values = option.get_value_names().unwrap_or_default().iter().filter(|_| takes);
        let values: String = values.map(|value| format!(" \\fI{}\\fR", escape(value))).collect();
        let more = if matches!(option.get_action(), clap::ArgAction::Append) { "..." } else { "" };
        let option_text = format!("{}{values}", names.join("|"));
        words.push(if option.is_required_set() { option_text } else { format!("[{option_text}]{more}") });
    }
    // As clap writes them: in brackets where they may be left out, with dots where there may be more.
    for positional in command.get_positionals().filter(shown) {
        let word = escape(&positional.to_string()).replace(['<', '>'], "");
        words.push(format!("\\fI{word}\\fR"));
    }
    if command.has_subcommands() {
        words.push("\\fICOMMAND\\fR".to_owned());
    }
    format!(".SH SYNOPSIS\n{}\n", words.join(" "))
}

/// The sections are rendered one by one and each defines the apostrophe anew; blank lines are not
/// roff's way to make space.
fn roff_lines(text: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    let mut defined = false;
    for line in text.lines() {
        let definition = line.contains(".ds Aq");
        match line {
            _ if definition && defined => {}
            "" if lines.last() == Some(&".br") => {}
            ".br" if lines.last() == Some(&".br") => {}
            "" => lines.push(".sp"),
            _ => lines.push(line),
        }
        defined |= definition && line.starts_with(".el");
    }
    // The empty date is left out, so that the source would stand in its place.
    lines.join("\n").replacen(" 1  \"", " 1 \"\" \"", 1) + "\n"
}

/// Without white space at the ends of lines, and with one newline at the end.
fn tidy(bytes: Vec<u8>) -> String {
    let text = String::from_utf8(bytes).expect("UTF-8");
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n") + "\n"
}

#[test]
fn the_synopsis_says_what_options_take_and_what_may_be_repeated() {
    let pages = all();
    let page = |name: &str| pages.get(&PathBuf::from(format!("man/{name}.1"))).expect("a page");
    let list = page("nodedns-list");
    assert!(list.contains("[\\fB\\-\\-kubeconfig\\fR \\fIPATH\\fR]"), "{list}");
    assert!(list.contains("[\\fB\\-o\\fR|\\fB\\-\\-output\\fR \\fIFORMAT\\fR]"), "{list}");
    assert!(list.contains(" \\fI[NAME]...\\fR\n"), "{list}");
    assert!(page("nodedns-prune").contains("[\\fB\\-\\-node\\fR \\fINODE\\fR]..."));
    assert!(page("nodedns-restore").contains(" \\fIFILE\\fR\n"));
    assert!(page("nodedns-config").contains("\\fBnodedns config\\fR [\\fB\\-h"));
}
