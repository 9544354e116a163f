//! Files that something runs by itself, or that let somebody in: writing them is meant to last.

/// What a path ends with, and what lies below it.
const FILES: &[&str] = &[
    "/.bashrc",
    "/.bash_profile",
    "/.bash_login",
    "/.bash_logout",
    "/.profile",
    "/.zshrc",
    "/.zprofile",
    "/.zshenv",
    "/.zlogin",
    "/.kshrc",
    "/.config/fish/config.fish",
    "/.ssh/authorized_keys",
    "/.ssh/authorized_keys2",
    "/.ssh/rc",
    "/.rhosts",
    "/.xinitrc",
    "/.xprofile",
    "/.xsession",
    "/.vimrc",
    "/.gitconfig",
    "/.git/config",
    "/.pam_environment",
    "/.forward",
    "/.emacs",
    "/.inputrc",
    "/.tmux.conf",
];
const ROOTED: &[&str] = &[
    "/etc/profile",
    "/etc/bash.bashrc",
    "/etc/bashrc",
    "/etc/zshrc",
    "/etc/zprofile",
    "/etc/zshenv",
    "/etc/environment",
    "/etc/crontab",
    "/etc/anacrontab",
    "/etc/rc.local",
    "/etc/inittab",
    "/etc/ld.so.preload",
    "/etc/ld.so.conf",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/group",
    "/etc/sudoers",
    "/etc/hosts.equiv",
    "/etc/rc.common",
    "/etc/launchd.conf",
    "/etc/fstab",
    "/etc/modules",
    "/etc/ssh/sshd_config",
    "/etc/doas.conf",
];
const FOLDERS: &[&str] = &[
    "/etc/cron.",
    "/var/spool/cron/",
    "/var/spool/at/",
    "/var/at/",
    "/etc/init.d/",
    "/etc/rc.d/",
    "/etc/rc0.d/",
    "/etc/rc3.d/",
    "/etc/rc5.d/",
    "/etc/systemd/",
    "/lib/systemd/",
    "/usr/lib/systemd/",
    "/usr/local/lib/systemd/",
    "/run/systemd/",
    "/etc/profile.d/",
    "/etc/sudoers.d/",
    "/etc/pam.d/",
    "/etc/ld.so.conf.d/",
    "/etc/udev/rules.d/",
    "/lib/udev/rules.d/",
    "/usr/lib/udev/rules.d/",
    "/etc/update-motd.d/",
    "/etc/init/",
    "/etc/xdg/autostart/",
    "/etc/modules-load.d/",
    "/etc/apt/apt.conf.d/",
    "/etc/NetworkManager/dispatcher.d/",
    "/etc/emond.d/",
    "/etc/periodic/",
    "/etc/ssh/sshd_config.d/",
    "/etc/dconf/",
    "/etc/skel/",
    "/Library/LaunchAgents/",
    "/Library/LaunchDaemons/",
    "/Library/StartupItems/",
    "/System/Library/Launch",
    "/Library/Scripts/",
    "/Library/Extensions/",
    "/Library/Security/SecurityAgentPlugins/",
    "/private/etc/",
    "/private/var/at/",
];
const HOME_FOLDERS: &[&str] = &[
    "/.config/systemd/",
    "/.local/share/systemd/",
    "/.config/autostart/",
    "/Library/LaunchAgents/",
    "/Library/Application Support/com.apple.backgroundtaskmanagementagent/",
    "/.git/hooks/",
    "/.config/fish/conf.d/",
    "/.config/environment.d/",
    "/.local/share/dbus-1/services/",
    "/.oh-my-zsh/custom/",
    "/.vim/plugin/",
];

/// Whether a path is a log or a history of commands.
pub(super) fn log(path: &str) -> bool {
    path.starts_with("/var/log")
        || path.starts_with("/private/var/log")
        || path.ends_with("_history")
        || path.contains("/Library/Logs/")
}

/// Whether what is written to a path will be run later or lets somebody in.
pub(super) fn persistent(path: &str) -> bool {
    ROOTED.contains(&path)
        || FOLDERS.iter().any(|folder| path.starts_with(folder) || folder.strip_suffix('/') == Some(path))
        || FILES.iter().any(|file| path.ends_with(file) || file.strip_prefix('/') == Some(path))
        || HOME_FOLDERS.iter().any(|folder| {
            path.contains(folder) || folder.strip_prefix('/').is_some_and(|folder| path.starts_with(folder))
        })
}
