//! Finds the calls in code that touch files, processes and the network. It reads no language: it looks for names and the text after them.

use crate::{
    analysis::{Kind, Object},
    limits,
};

/// What a piece of code does.
pub(super) enum Found {
    /// Runs shell text, or a program whose text is not known.
    Shell(Option<String>),
    /// An effect on what its first text names.
    Does(Kind, Object, Option<String>, bool),
}

/// What follows a name.
#[derive(Clone, Copy)]
enum Act {
    /// A command: a text, or a list of texts.
    Run,
    Delete,
    DeleteAll,
    Write,
    Read,
    Mode,
    /// A path, and what is done with it after.
    Path,
    /// A file that is opened; the mode is the next text.
    Open,
    Network,
    Send,
    /// Decodes and runs code.
    Decode,
}

/// Names, and what their call does. A name that ends in a letter must be followed by `(`, a blank or a quote.
const CALLS: &[(&str, Act)] = &[
    ("os.system", Act::Run),
    ("os.popen", Act::Run),
    ("subprocess.run", Act::Run),
    ("subprocess.call", Act::Run),
    ("subprocess.check_call", Act::Run),
    ("subprocess.check_output", Act::Run),
    ("subprocess.Popen", Act::Run),
    ("subprocess.getoutput", Act::Run),
    ("pty.spawn", Act::Run),
    ("os.execv", Act::Run),
    ("os.execl", Act::Run),
    ("os.execvp", Act::Run),
    ("os.execlp", Act::Run),
    ("os.spawnlp", Act::Run),
    ("os.startfile", Act::Run),
    ("system", Act::Run),
    ("exec", Act::Run),
    ("execSync", Act::Run),
    ("execFileSync", Act::Run),
    ("execFile", Act::Run),
    ("spawnSync", Act::Run),
    ("spawn", Act::Run),
    ("popen", Act::Run),
    ("shell_exec", Act::Run),
    ("passthru", Act::Run),
    ("proc_open", Act::Run),
    ("os.execute", Act::Run),
    ("io.popen", Act::Run),
    ("Open3.capture2", Act::Run),
    ("do shell script", Act::Run),
    ("do script", Act::Run),
    ("%x", Act::Run),
    ("qx", Act::Run),
    ("os.remove", Act::Delete),
    ("os.unlink", Act::Delete),
    ("os.rmdir", Act::Delete),
    ("shutil.rmtree", Act::DeleteAll),
    ("os.removedirs", Act::DeleteAll),
    ("unlink", Act::Delete),
    ("unlinkSync", Act::Delete),
    ("rmSync", Act::DeleteAll),
    ("rmdirSync", Act::DeleteAll),
    ("fs.rm", Act::DeleteAll),
    ("rimraf", Act::DeleteAll),
    ("rmtree", Act::DeleteAll),
    ("FileUtils.rm_rf", Act::DeleteAll),
    ("FileUtils.rm_r", Act::DeleteAll),
    ("FileUtils.rm", Act::Delete),
    ("File.delete", Act::Delete),
    ("File.unlink", Act::Delete),
    ("Deno.remove", Act::DeleteAll),
    ("writeFileSync", Act::Write),
    ("writeFile", Act::Write),
    ("appendFileSync", Act::Write),
    ("createWriteStream", Act::Write),
    ("file_put_contents", Act::Write),
    ("File.write", Act::Write),
    ("IO.write", Act::Write),
    ("shutil.copy", Act::Read),
    ("shutil.copyfile", Act::Read),
    ("shutil.move", Act::Delete),
    ("readFileSync", Act::Read),
    ("readFile", Act::Read),
    ("createReadStream", Act::Read),
    ("file_get_contents", Act::Read),
    ("File.read", Act::Read),
    ("os.chmod", Act::Mode),
    ("chmodSync", Act::Mode),
    ("open", Act::Open),
    ("fopen", Act::Open),
    ("Path", Act::Path),
    ("urllib.request.urlopen", Act::Network),
    ("urlopen", Act::Network),
    ("urlretrieve", Act::Network),
    ("urllib2.urlopen", Act::Network),
    ("requests.get", Act::Network),
    ("requests.post", Act::Send),
    ("requests.put", Act::Send),
    ("httpx.get", Act::Network),
    ("httpx.post", Act::Send),
    ("http.client.HTTPConnection", Act::Network),
    ("http.client.HTTPSConnection", Act::Network),
    ("socket.create_connection", Act::Send),
    ("socket.socket", Act::Send),
    (".connect", Act::Send),
    ("ftplib.FTP", Act::Send),
    ("smtplib.SMTP", Act::Send),
    ("paramiko.SSHClient", Act::Send),
    ("fetch", Act::Network),
    ("http.get", Act::Network),
    ("https.get", Act::Network),
    ("http.request", Act::Send),
    ("https.request", Act::Send),
    ("net.connect", Act::Send),
    ("net.Socket", Act::Send),
    ("net.createConnection", Act::Send),
    ("IO::Socket::INET", Act::Send),
    ("IO::Socket", Act::Send),
    ("LWP::UserAgent", Act::Network),
    ("LWP::Simple", Act::Network),
    ("TCPSocket.new", Act::Send),
    ("TCPSocket.open", Act::Send),
    ("Net::HTTP.get", Act::Network),
    ("Net::HTTP.post", Act::Send),
    ("URI.open", Act::Network),
    ("fsockopen", Act::Send),
    ("curl_init", Act::Network),
    ("/inet/tcp", Act::Send),
    ("base64.b64decode", Act::Decode),
    ("b64decode", Act::Decode),
    ("base64_decode", Act::Decode),
    ("Buffer.from", Act::Decode),
    ("decode_base64", Act::Decode),
    ("bytes.fromhex", Act::Decode),
    ("codecs.decode", Act::Decode),
];

/// Finds the calls in a piece of code.
pub(super) fn find(language: &str, code: &str) -> Vec<Found> {
    let mut out = Vec::new();
    // More calls of a sort than are looked at: what the others run is not known.
    let many = |mark: &str| code.match_indices(mark).nth(limits::LOOP).is_some();
    let shell = matches!(language, "perl" | "ruby" | "php") && many("`");
    let pipes = matches!(language, "awk" | "gawk" | "mawk" | "nawk") && (many("|") || many(">"));
    if shell || pipes || CALLS.iter().any(|(name, _)| many(name)) {
        out.push(Found::Shell(None));
    }
    let mut decoded = false;
    let mut seen = Vec::new();
    for &(name, act) in CALLS {
        for (at, _) in code.match_indices(name).take(limits::LOOP) {
            let end = at + name.len();
            if !stands_alone(code, at, end, name) || seen.contains(&end) {
                continue;
            }
            seen.push(end);
            let rest = code.get(end..).unwrap_or_default();
            match act {
                Act::Decode => decoded = true,
                Act::Run if name == "exec" && language == "python" => {}
                _ => of(act, rest, &mut out),
            }
        }
    }
    if language == "perl" || language == "ruby" || language == "php" {
        out.extend(backquoted(code));
    }
    if decoded && (code.contains("exec(") || code.contains("eval(") || code.contains("system(")) {
        out.push(Found::Shell(None));
    }
    if matches!(language, "awk" | "gawk" | "mawk" | "nawk") {
        awk(code, &mut out);
    }
    if matches!(language, "vim" | "vi" | "nvim" | "ex") {
        out.extend(
            code.split('\n')
                .filter_map(|line| line.trim_start_matches(':').strip_prefix('!'))
                .map(|text| Found::Shell(Some(text.to_owned()))),
        );
    }
    if language == "osascript" && code.contains("with administrator privileges") {
        out.push(Found::Does(Kind::Privilege, Object::Account, Some("root".to_owned()), false));
    }
    if language == "expect" {
        out.extend(
            code.split(['\n', ';'])
                .filter_map(|line| line.trim().strip_prefix("spawn "))
                .map(|text| Found::Shell(Some(text.to_owned()))),
        );
    }
    if language == "gdb" {
        out.extend(
            code.split('\n')
                .filter_map(|line| line.trim().strip_prefix("shell "))
                .map(|text| Found::Shell(Some(text.to_owned()))),
        );
    }
    out
}

/// Whether a name is one of its own and not a part of another.
fn stands_alone(code: &str, at: usize, end: usize, name: &str) -> bool {
    let before = code.get(..at).and_then(|before| before.chars().next_back());
    let after = code.get(end..).and_then(|after| after.chars().next());
    let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let free = name.starts_with('.') || !word(before);
    free && !word(after)
        && (name.contains(' ')
            || name.contains(['/', ':', '%'])
            || name == "qx"
            || matches!(after, Some('(' | ' ' | '"' | '\'')))
}

fn of(act: Act, rest: &str, out: &mut Vec<Found>) {
    let arguments = arguments(rest);
    let mut texts = texts(arguments);
    let first = texts.next();
    let does = |kind, object, target, recursive| Found::Does(kind, object, target, recursive);
    match act {
        Act::Run => {
            // A list of texts is a program and its arguments.
            let list = arguments.trim_start_matches(['(', ' ']).starts_with('[')
                || arguments.contains(", [")
                || arguments.contains(",[")
                || separate(arguments);
            let text = match first {
                Some(first) if list => Some(texts.take(limits::LOOP).fold(first, |text, next| text + " " + &next)),
                other => other,
            };
            out.push(Found::Shell(text));
        }
        // A method of something that is named elsewhere.
        Act::Delete if arguments.trim() == "(" => {}
        Act::Delete => out.push(does(Kind::Delete, Object::File, first, false)),
        Act::DeleteAll => out.push(does(Kind::Delete, Object::File, first, true)),
        Act::Write => out.push(does(Kind::Write, Object::File, first, false)),
        Act::Read => out.push(does(Kind::Read, Object::File, first, false)),
        Act::Path => {
            let after = rest.get(arguments.len()..).unwrap_or_default().trim_start_matches(')');
            let (kind, recursive) = match () {
                () if after.starts_with(".unlink") || after.starts_with(".rmdir") => (Kind::Delete, false),
                () if after.starts_with(".rmtree") => (Kind::Delete, true),
                () if after.starts_with(".write_")
                    || after.starts_with(".touch")
                    || after.starts_with(".mkdir")
                    || after.starts_with(".open('w")
                    || after.starts_with(".open(\"w") =>
                {
                    (Kind::Write, false)
                }
                () if after.starts_with(".chmod") => (Kind::ChangeMode, false),
                () => (Kind::Read, false),
            };
            out.push(does(kind, Object::File, first, recursive));
        }
        Act::Mode => out.push(does(Kind::ChangeMode, Object::File, first, false)),
        Act::Open => {
            let second = texts.next();
            let mode = second.as_deref().unwrap_or("r");
            let (kind, target) = match first {
                // Perl's way: `open(F, ">file")`.
                Some(text) if text.starts_with(">>") => {
                    (Kind::Append, Some(text.trim_start_matches(['>', ' ']).to_owned()))
                }
                Some(text) if text.starts_with('>') => (
                    Kind::Write,
                    second
                        .filter(|_| text.trim() == ">")
                        .or_else(|| Some(text.trim_start_matches(['>', ' ']).to_owned())),
                ),
                Some(text) if text.starts_with('<') => (
                    Kind::Read,
                    Some(text.trim_start_matches(['<', ' ']).to_owned()).filter(|text| !text.is_empty()).or(second),
                ),
                Some(text) if mode.starts_with('a') => (Kind::Append, Some(text)),
                Some(text) if mode.starts_with(['w', 'x']) || mode.contains('+') => (Kind::Write, Some(text)),
                other => (Kind::Read, other),
            };
            if target.is_some() {
                out.push(does(kind, Object::File, target, false));
            }
        }
        Act::Network => out.push(does(Kind::Network, Object::Host, first, false)),
        Act::Send => {
            out.push(does(Kind::Network, Object::Host, first.clone(), false));
            out.push(does(Kind::Send, Object::Host, first, false));
        }
        Act::Decode => {}
    }
}

/// Whether a text is followed by another one: a program and its arguments.
fn separate(arguments: &str) -> bool {
    ["\", \"", "', '", "\",\"", "','"].iter().any(|between| arguments.contains(between))
}

/// The arguments of a call: to the bracket that closes it, or the end of the statement.
fn arguments(rest: &str) -> &str {
    let mut depth = 0_usize;
    let mut quote = None;
    let mut escaped = false;
    let begins = rest.trim_start().starts_with('(');
    for (at, c) in rest.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (_, '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return rest.get(..at).unwrap_or_default();
                }
            }
            (None, ';' | '\n') if !begins => return rest.get(..at).unwrap_or_default(),
            _ => {}
        }
    }
    rest
}

/// The quoted texts in a piece of code.
fn texts(code: &str) -> impl Iterator<Item = String> {
    let mut rest = code;
    std::iter::from_fn(move || {
        let at = rest.find(['"', '\'', '`'])?;
        let quote = rest.get(at..)?.chars().next()?;
        let inside = rest.get(at + 1..)?;
        let mut out = String::new();
        let mut escaped = false;
        for (at, c) in inside.char_indices() {
            match c {
                _ if escaped => {
                    if c != quote && c != '\\' {
                        out.push('\\');
                    }
                    out.push(c);
                    escaped = false;
                }
                '\\' => escaped = true,
                c if c == quote => {
                    rest = inside.get(at + 1..)?;
                    return Some(out);
                }
                _ => out.push(c),
            }
        }
        rest = "";
        Some(out)
    })
}

/// Commands in backquotes.
fn backquoted(code: &str) -> Vec<Found> {
    code.split('`').skip(1).step_by(2).take(limits::LOOP).map(|text| Found::Shell(Some(text.to_owned()))).collect()
}

/// `"command" | getline`, `print | "command"`, `print > "file"`.
fn awk(code: &str, out: &mut Vec<Found>) {
    for (at, _) in code.match_indices('|').take(limits::LOOP) {
        let (before, after) = (code.get(..at).unwrap_or_default(), code.get(at + 1..).unwrap_or_default());
        if after.trim_start_matches(['&', ' ']).starts_with("getline") {
            let text = before
                .trim_end()
                .strip_suffix('"')
                .and_then(|before| before.rsplit_once('"'))
                .map(|(_, text)| text.to_owned());
            out.push(Found::Shell(text));
        } else if after.trim_start().starts_with('"') {
            out.push(Found::Shell(texts(after).next()));
        }
    }
    for (at, _) in code.match_indices('>').take(limits::LOOP) {
        let after = code.get(at + 1..).unwrap_or_default().trim_start_matches(['>', ' ']);
        if after.starts_with('"') && code.contains("print") {
            out.push(Found::Does(Kind::Write, Object::File, texts(after).next(), false));
        }
    }
}
