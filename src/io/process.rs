//! This run and other runs as processes: who wrote an intent, and is it still there?
#![expect(clippy::disallowed_methods, reason = "reads /proc and the process's own identity")]

use super::clock;

/// The name of this run: `<time and chance>/<host>/<pid>.<start>`. Unique, sortable by time, and telling on the same
/// machine whether the run is still alive.
#[must_use]
pub fn this_run() -> String {
    let pid = std::process::id();
    let id = format!("{:012x}{:08x}", clock::now().as_millisecond(), clock::random());
    format!("{id}/{}/{pid}.{}", host(), start_of(pid).unwrap_or_default())
}

/// Is the process of a run gone for certain? `false` also for runs of other machines.
#[must_use]
pub fn is_gone(run: &str) -> bool {
    let mut parts = run.split('/').skip(1);
    let (Some(run_host), Some(process)) = (parts.next(), parts.next()) else { return false };
    let Some((pid, start)) = process.split_once('.') else { return false };
    run_host == host() && !start.is_empty() && pid.parse().is_ok_and(|pid| start_of(pid).as_deref() != Some(start))
}

/// The machine and its boot: a container or a reboot is another host, since its process numbers mean nothing here.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_else(|_| "unknown".into());
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = std::fs::read_link("/proc/self/ns/pid").map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
    let mark = &blake3::hash(format!("{boot}{namespace}").as_bytes()).to_hex()[..8];
    format!("{}-{mark}", name.trim().replace('/', "-"))
}

/// When a process started, in the kernel's ticks. With the pid it names a process for certain.
fn start_of(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command in parentheses may hold spaces; the state and, 19 fields on, the start time come after it.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    // Killed, and its parent has not asked for it yet: nothing is sent any more.
    let is_dead = fields.next().is_none_or(|state| ["Z", "X"].contains(&state));
    fields.nth(18).filter(|_| !is_dead).map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_knows_whether_its_process_lives() {
        let run = this_run();
        assert!(!is_gone(&run), "{run}");
        let (head, tail) = run.rsplit_once('/').unwrap();
        let (pid, start) = tail.split_once('.').unwrap();
        assert!(is_gone(&format!("{head}/{pid}.{start}9")), "another process has taken the number");
        assert!(!is_gone("0123/elsewhere/1.5"), "nothing is known of other machines");
        assert!(!is_gone("nonsense"));
    }

    #[test]
    fn runs_differ() {
        assert_ne!(this_run(), this_run());
    }
}
