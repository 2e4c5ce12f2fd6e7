//! Ways to reload a server, each under the same load in the same run: who loses what. What is not on
//! this machine is left out, and named.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::{net::UnixStream, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::Parser;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tests::load::{Load, Target};

/// Reloads servers under load, and prints what was lost.
#[derive(Debug, Parser)]
struct Cli {
    /// Where our programs are
    #[arg(long)]
    programs: PathBuf,
    /// Where the examples of workers are
    #[arg(long)]
    workers: PathBuf,
    /// Where Python finds gunicorn, hupwatch and oslo.service
    #[arg(long)]
    python: PathBuf,
    /// How often each is reloaded
    #[arg(long, default_value_t = 20)]
    reloads: u32,
    /// The time between two reloads, in ms
    #[arg(long, default_value_t = 1000)]
    every: u64,
    /// How many clients make new connections; half as many keep theirs
    #[arg(long, default_value_t = 16)]
    clients: u32,
}

/// A way to reload.
struct Candidate {
    name: &'static str,
    /// What must be there.
    needs: &'static str,
    command: Vec<String>,
    /// How it is told to reload; the launcher is asked, and says how it went.
    signal: Signal,
    is_ours: bool,
    is_unix: bool,
}

fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let folder = std::env::temp_dir().join(format!("bench-reload-{}", std::process::id()));
    fs::create_dir_all(folder.join("run"))?;
    let outcome = run(&cli, &folder);
    fs::remove_dir_all(&folder)?;
    outcome
}

fn run(cli: &Cli, folder: &Path) -> Result<ExitCode> {
    let mut out = std::io::stdout();
    writeln!(
        out,
        "{} reloads each, every {} ms, under {} clients with new connections and {} with kept ones\n",
        cli.reloads,
        cli.every,
        cli.clients,
        cli.clients / 2
    )?;
    writeln!(
        out,
        "{:<40} {:>9} {:>6} {:>9} {:>9} {:>9} {:>6}",
        "WAY", "ANSWERED", "LOST", "p99 ms", "MAX ms", "KEPT", "LOST"
    )?;
    let mut has_lost = false;
    for candidate in candidates(cli, folder)? {
        if !is_there(candidate.needs, cli) {
            writeln!(
                out,
                "{:<40} left out: there is no {}",
                candidate.name, candidate.needs
            )?;
            continue;
        }
        match measure(cli, folder, &candidate) {
            Ok((fresh, kept, note)) => {
                let millis = |time: Duration| time.as_secs_f64() * 1000.0;
                writeln!(
                    out,
                    "{:<40} {:>9} {:>6} {:>9.1} {:>9.1} {:>9} {:>6}{note}",
                    candidate.name,
                    fresh.answered,
                    fresh.losses(),
                    millis(fresh.permille(990)),
                    millis(fresh.slowest()),
                    kept.answered,
                    kept.losses(),
                )?;
                has_lost |= candidate.is_ours && fresh.losses() > 0;
                has_lost |= candidate.name.ends_with("worker.rs") && kept.losses() > 0;
            }
            Err(error) => writeln!(
                out,
                "{:<40} could not be measured: {error:#}",
                candidate.name
            )?,
        }
    }
    Ok(ExitCode::from(u8::from(has_lost)))
}

fn candidates(cli: &Cli, folder: &Path) -> Result<Vec<Candidate>> {
    let text = |path: &Path| path.display().to_string();
    let launcher = |worker: &[&str]| {
        let mut all = vec![
            text(&cli.programs.join("unitlink-launcher")),
            "--workers=2".to_owned(),
            "--confirm=0s".to_owned(),
            "--listen=ADDRESS".to_owned(),
            "--".to_owned(),
        ];
        all.extend(worker.iter().map(|it| (*it).to_owned()));
        all
    };
    let words = |line: &str| {
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    fs::write(
        folder.join("app.py"),
        "def application(environ, start_response):\n    \
         start_response('200 OK', [('Content-Length', '3')])\n    return [b'ok\\n']\n",
    )?;
    let gunicorn = "python3 -m gunicorn --workers 2 --threads 8 app:application";
    let ours = |name, needs, command| Candidate {
        name,
        needs,
        command,
        signal: Signal::HUP,
        is_ours: true,
        is_unix: false,
    };
    let other = |name, needs, command, signal| Candidate {
        name,
        needs,
        command,
        signal,
        is_ours: false,
        is_unix: false,
    };
    let rust = text(&cli.programs.join("examples/worker"));
    let python = text(&cli.workers.join("worker.py"));
    let node = text(&cli.workers.join("worker.js"));
    let python_of_gunicorn: Vec<_> = gunicorn.split_whitespace().collect();
    let by_readme = [
        text(&cli.programs.join("unitlink-launcher")),
        "--".to_owned(),
    ];
    let unix = |name, command| Candidate {
        name,
        needs: "hupwatch",
        command,
        signal: Signal::HUP,
        is_ours: false,
        is_unix: true,
    };
    let bind = words(&format!("{gunicorn} --bind unix:SOCKET"));
    Ok(vec![
        ours(
            "unitlink-launcher, worker.rs",
            "python3",
            launcher(&[&rust]),
        ),
        ours(
            "unitlink-launcher, worker.py",
            "python3",
            launcher(&["python3", &python]),
        ),
        ours(
            "unitlink-launcher, worker.js",
            "node",
            launcher(&["node", &node]),
        ),
        ours(
            "unitlink-launcher, gunicorn",
            "gunicorn",
            launcher(&python_of_gunicorn),
        ),
        Candidate {
            is_ours: true,
            ..unix(
                "unitlink-launcher, gunicorn --bind unix:",
                by_readme.into_iter().chain(bind.clone()).collect(),
            )
        },
        unix(
            "hupwatch, gunicorn --bind unix:",
            words("python3 -c HUPWATCH --")
                .into_iter()
                .chain(bind)
                .collect(),
        ),
        other(
            "gunicorn, HUP to its master",
            "gunicorn",
            words(&format!("{gunicorn} --bind ADDRESS")),
            Signal::HUP,
        ),
        other(
            "oslo.service, 2 workers",
            "oslo_service",
            words("python3 OSLO ADDRESS"),
            Signal::HUP,
        ),
        other("nginx", "nginx", words("nginx -c NGINX"), Signal::HUP),
        other(
            "HAProxy, master-worker",
            "haproxy",
            words("haproxy -W -db -f HAPROXY"),
            Signal::USR2,
        ),
    ])
}

fn measure(
    cli: &Cli,
    folder: &Path,
    candidate: &Candidate,
) -> Result<(tests::load::Report, tests::load::Report, String)> {
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let socket = folder.join("app.sock");
    let _ = fs::remove_file(&socket);
    let target = || match candidate.is_unix {
        true => Target::Unix(socket.clone()),
        false => Target::Tcp(address),
    };
    let mut server = start(cli, folder, candidate, address, &socket)?;
    let pid = Pid::from_child(&server);
    let measured = await_answer(&target(), &mut server).and_then(|()| {
        let fresh = Load::new(target(), cli.clients).start();
        let kept = Load::new(target(), cli.clients / 2)
            .kept(Duration::from_millis(20))
            .start();
        let mut failed = 0;
        for _ in 0..cli.reloads {
            if candidate.is_ours {
                let asked = Command::new(cli.programs.join("unitlink-launcher"))
                    .args(["reload", "--wait", "--runtime-directory"])
                    .arg(folder.join("run"))
                    .stderr(Stdio::null())
                    .status()?;
                failed += u32::from(!asked.success());
            } else {
                kill_process(pid, candidate.signal)?;
            }
            thread::sleep(Duration::from_millis(cli.every));
        }
        let note = if failed > 0 {
            format!("  {failed} reloads failed")
        } else {
            String::new()
        };
        let note = match server.try_wait()? {
            Some(status) => format!("{note}  it has ended: {status}"),
            None => note,
        };
        Ok((fresh.stop(), kept.stop(), note))
    });
    let _ = kill_process(pid, Signal::INT);
    thread::sleep(Duration::from_millis(200));
    let _ = kill_process_group(pid, Signal::KILL);
    server.wait()?;
    end_orphans()?;
    measured
}

/// What a candidate has left behind, in groups of its own (hupwatch leaves its children), has become ours.
fn end_orphans() -> Result<()> {
    let own = std::process::id();
    let path = format!("/proc/self/task/{own}/children");
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        let children = fs::read_to_string(&path)?;
        let pids = children
            .split_whitespace()
            .filter_map(|it| Pid::from_raw(it.parse().ok()?));
        let pids: Vec<_> = pids.collect();
        if pids.is_empty() {
            return Ok(());
        }
        for pid in pids {
            let _ = kill_process(pid, Signal::KILL);
            let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
        }
    }
    bail!("processes are left that cannot be ended")
}

/// Starts it in a process group of its own, so that whatever it has started is ended with it.
fn start(
    cli: &Cli,
    folder: &Path,
    candidate: &Candidate,
    address: SocketAddr,
    socket: &Path,
) -> Result<Child> {
    let file = |name: &str, text: &str| -> Result<String> {
        let path = folder.join(name);
        fs::write(&path, text)?;
        Ok(path.display().to_string())
    };
    let nginx = format!(
        "daemon off; worker_processes 2; pid {0}/nginx.pid; error_log /dev/null;\n\
         events {{}}\nhttp {{ access_log off; server {{ listen {address} backlog=4096; return 200 ok; }} }}\n",
        folder.display()
    );
    let haproxy = format!(
        "global\n  stats socket {}/haproxy.sock expose-fd listeners\ndefaults\n  mode http\n  timeout client 30s\n  \
         timeout connect 5s\n  timeout server 30s\nfrontend f\n  bind {address} backlog 4096\n  \
         http-request return status 200 content-type text/plain string ok\n",
        folder.display()
    );
    let mut words = Vec::new();
    for word in &candidate.command {
        words.push(match word.as_str() {
            "HUPWATCH" => "from hupwatch.command import main; main()".to_owned(),
            "NGINX" => file("nginx.conf", &nginx)?,
            "HAPROXY" => file("haproxy.conf", &haproxy)?,
            "OSLO" => file("service.py", include_str!("bench-reload/oslo.py"))?,
            word => word
                .replace("ADDRESS", &address.to_string())
                .replace("SOCKET", &socket.display().to_string()),
        });
    }
    let (program, arguments) = words.split_first().context("no command")?;
    Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env("PYTHONPATH", &cli.python)
        .env("RUNTIME_DIRECTORY", folder.join("run"))
        .env_remove("NOTIFY_SOCKET")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .with_context(|| format!("failed to start {program}"))
}

fn await_answer(target: &Target, server: &mut Child) -> Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(30) {
        // A launcher listens before there is a worker, so an open connection is no answer.
        let is_answered = match target {
            Target::Tcp(address) => TcpStream::connect(address).is_ok_and(answers),
            Target::Unix(path) => UnixStream::connect(path).is_ok_and(answers),
        };
        if is_answered {
            // The other workers may still be starting.
            thread::sleep(Duration::from_secs(2));
            return Ok(());
        }
        if let Some(status) = server.try_wait()? {
            bail!("it has ended: {status}");
        }
        thread::sleep(Duration::from_millis(20));
    }
    bail!("it never answers")
}

/// Whether one request is answered, however long it takes.
fn answers(mut stream: impl Read + Write) -> bool {
    let request = b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n";
    let mut answer = [0; 12];
    stream.write_all(request).is_ok() && stream.read_exact(&mut answer).is_ok()
}

fn is_there(what: &str, cli: &Cli) -> bool {
    let runs = |command: &mut Command| {
        let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
        quiet.status().is_ok_and(|it| it.success())
    };
    match what {
        "gunicorn" | "hupwatch" | "oslo_service" => {
            let import = format!("import {what}");
            runs(
                Command::new("python3")
                    .args(["-c", &import])
                    .env("PYTHONPATH", &cli.python),
            )
        }
        "nginx" | "haproxy" => runs(Command::new(what).arg("-v")),
        _ => runs(Command::new(what).arg("--version")),
    }
}
