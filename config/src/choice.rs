//! Settings that are one word of a few.

/// A setting that is one word of a fixed list.
pub(crate) trait Choice: Copy + PartialEq + 'static {
    /// Each word with its value.
    const ALL: &'static [(&'static str, Self)];
}

/// Declares an enum whose variants are words in a configuration file.
macro_rules! choice {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)+
        }

        impl $name {
            /// The word that stands for it in configuration.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Choice for $name {
            const ALL: &'static [(&'static str, Self)] = &[$(($word, Self::$variant),)+];
        }
    };
}

choice! {
    /// Which of a queue's actors a crash of one of them restarts.
    pub enum RestartStrategy {
        /// The one that crashed.
        OneForOne = "one_for_one",
        /// All of them; jobs that run are handed back.
        OneForAll = "one_for_all",
        /// It, and those that were started after it.
        RestForOne = "rest_for_one",
    }
}

choice! {
    /// An end of an attempt that can be taken for a crash.
    pub enum CrashKind {
        /// The job panicked.
        Panicked = "panicked",
        /// Its actor was killed, or ended otherwise before it had said how the job ended.
        Lost = "lost",
        /// It took longer than it may.
        TimedOut = "timed_out",
    }
}

choice! {
    /// How the program writes its log.
    pub enum LogFormat {
        /// Human on a terminal, else JSON.
        Auto = "auto",
        /// Lines for people.
        Human = "human",
        /// One JSON object a line.
        Json = "json",
    }
}

choice! {
    /// What a bearer token allows; each role may do what the ones before it may.
    pub enum TokenRole {
        /// Reads.
        Viewer = "viewer",
        /// Submits, cancels, retries.
        Operator = "operator",
        /// Everything.
        Admin = "admin",
    }
}

choice! {
    /// Where jobs are kept.
    pub enum StoreBackend {
        /// One SQLite file, for one process.
        Sqlite = "sqlite",
        /// A PostgreSQL database, for any number of processes.
        Postgres = "postgres",
    }
}

choice! {
    /// What a write that was answered survives.
    pub enum Durability {
        /// A power cut (SQLite's `synchronous = FULL`, PostgreSQL's `synchronous_commit = on`).
        Full = "full",
        /// The death of the program, but the last moments before a power cut, on PostgreSQL before any death of the server,
        /// may be lost (`synchronous = NORMAL`, `synchronous_commit = off`).
        Relaxed = "relaxed",
    }
}

choice! {
    /// When the folder of a `command` attempt stays.
    pub enum KeepWorkspace {
        /// It is always removed.
        Never = "never",
        /// It stays after a failed attempt.
        Failed = "failed",
        /// It always stays.
        Always = "always",
    }
}

choice! {
    /// What becomes of jobs, submitted by the old contract, of a type that nobody handles.
    pub enum UnknownTypes {
        /// They wait until somebody handles the type.
        Hold = "hold",
        /// They are refused.
        Refuse = "refuse",
    }
}

choice! {
    /// What a start does about jobs that wait and do not fit their type any more.
    pub enum UnfitJobs {
        /// It ends, and says which they are.
        Refuse = "refuse",
        /// It says which they are, and goes on: they fail when they run.
        Warn = "warn",
    }
}

choice! {
    /// Who runs the jobs of a queue.
    pub enum ServedBy {
        /// The nodes themselves.
        Callboard = "callboard",
        /// Workers outside, to whom they are sent by the bus.
        Bus = "bus",
    }
}

choice! {
    /// What is done about exchanges and queues of the broker.
    pub enum Declare {
        /// Those that are missing are made, and those that are there must be as they should.
        Declare = "declare",
        /// They must be there; nothing is made.
        Check = "check",
        /// Nothing.
        None = "none",
    }
}

choice! {
    /// A queue of the old contract.
    pub enum ContractQueue {
        /// `job.created` events.
        Created = "jobs.created",
        /// `job.completed` events.
        Completed = "jobs.completed",
        /// `job.failed` events.
        Failed = "jobs.failed",
    }
}

choice! {
    /// A queue of the broker that is read.
    pub enum InboundQueue {
        /// Jobs of other programs.
        Created = "jobs.created",
        /// Jobs that old services completed.
        Completed = "jobs.completed",
        /// Jobs that old services failed.
        Failed = "jobs.failed",
        /// Ends of jobs that workers outside ran.
        Outcomes = "callboard.outcomes",
    }
}

choice! {
    /// What happens at a time of the cron table at which the job of the time before has not ended.
    pub enum Overlap {
        /// A job is stored beside it.
        Allow = "allow",
        /// None is stored.
        Skip = "skip",
        /// It is cancelled, and a job is stored.
        Replace = "replace",
    }
}

choice! {
    /// What happens about times of the cron table that were missed.
    pub enum Backfill {
        /// They are left out.
        None = "none",
        /// A job is stored for the last of them.
        Last = "last",
        /// A job is stored for each of them, within bounds.
        All = "all",
    }
}

choice! {
    /// Who writes what programs outside read.
    pub enum Writer {
        /// This fleet.
        Callboard = "callboard",
        /// Another program; this fleet only reads.
        External = "external",
    }
}
