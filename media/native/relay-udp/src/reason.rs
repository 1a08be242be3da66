//! What runs and why, in words for the operator.

use std::io;

use crate::command::Tier;
use crate::socket::describe;

/// What was found out at the start.
pub(crate) struct Start<'a> {
    pub(crate) workers: usize,
    pub(crate) tier: Tier,
    /// Whether it had to be this tier.
    pub(crate) demanded: bool,
    /// What became of io_uring, where epoll is the second choice.
    pub(crate) fallback: Option<&'a io::Error>,
    /// How many bytes a socket's buffer gets, where that is too little.
    pub(crate) small_buffers: Option<libc::c_int>,
}

/// One line: how many workers, how they read and write, and what could be better.
pub(crate) fn explain(start: &Start<'_>) -> String {
    let plural = if start.workers == 1 { "" } else { "s" };
    let mut reason = format!("{} worker{plural} on {}", start.workers, start.tier);
    if start.demanded {
        reason += " as demanded";
    }
    if let Some(error) = start.fallback {
        reason += "; ";
        reason += &without_uring(error);
    }
    if let Some(bytes) = start.small_buffers {
        reason += &format!("; socket buffers are small ({bytes} bytes): raise net.core.rmem_max");
    }
    reason
}

/// Why there is no io_uring, for whoever may change that.
fn without_uring(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            "io_uring is forbidden here: by kernel.io_uring_disabled, or by a container's seccomp \
             profile"
                .into()
        }
        Some(libc::ENOSYS) => "this kernel has no io_uring, or a container hides it".into(),
        Some(libc::EINVAL) => "io_uring needs Linux 6.1 or later".into(),
        _ => format!("io_uring cannot be had: {}", describe(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Start<'_> = Start {
        workers: 2,
        tier: Tier::IoUring,
        demanded: false,
        fallback: None,
        small_buffers: None,
    };

    #[test]
    fn the_line_says_how_many_work_and_how() {
        assert_eq!(explain(&START), "2 workers on io_uring");
        let one = Start { workers: 1, tier: Tier::Epoll, demanded: true, ..START };
        assert_eq!(explain(&one), "1 worker on epoll as demanded");
        let small = Start { small_buffers: Some(4096), ..START };
        assert_eq!(
            explain(&small),
            "2 workers on io_uring; socket buffers are small (4096 bytes): raise net.core.rmem_max"
        );
    }

    #[test]
    fn the_second_choice_says_what_the_first_lacks() {
        for (error, why) in [
            (libc::EPERM, "io_uring is forbidden here: by kernel.io_uring_disabled, or by a"),
            (libc::EACCES, "io_uring is forbidden here: by kernel.io_uring_disabled, or by a"),
            (libc::ENOSYS, "this kernel has no io_uring, or a container hides it"),
            (libc::EINVAL, "io_uring needs Linux 6.1 or later"),
            (libc::ENOMEM, "io_uring cannot be had: Cannot allocate memory"),
        ] {
            let error = io::Error::from_raw_os_error(error);
            let start = Start { tier: Tier::Epoll, fallback: Some(&error), ..START };
            let told = explain(&start);
            assert!(told.starts_with(&format!("2 workers on epoll; {why}")), "{told}");
        }
    }
}
