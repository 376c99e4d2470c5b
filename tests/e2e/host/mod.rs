//! The real thing: machines with systemd, Debian 12 and 13, on which the package is installed and nodedns is
//! the service that comes with it. Route 53 is beyond the machine's only link, so what is not withdrawn
//! before the network stops never is.
//!
//! Each show is a test for each Debian: `on_each_debian!(a_show)` makes `a_show::debian_12` and
//! `a_show::debian_13` of `async fn a_show(site: Site)`.

macro_rules! on_each_debian {
    ($($show:ident),+ $(,)?) => {
        $(mod $show {
            #[test]
            fn debian_12() {
                $crate::host::site::on($crate::host::machine::Suite::Bookworm, super::$show);
            }

            #[test]
            fn debian_13() {
                $crate::host::site::on($crate::host::machine::Suite::Trixie, super::$show);
            }
        })+
    };
}

mod cgroup;
mod credentials;
mod journal;
pub(crate) mod machine;
mod packages;
mod prune;
mod reload;
mod restarts;
mod rpm;
mod sandbox;
mod shutdown;
mod site;
mod start;
mod users;
