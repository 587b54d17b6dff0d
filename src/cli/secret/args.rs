//! What `bauta secret …` takes. Never a value: arguments and environments are read by other processes.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};

use crate::cli::ConfigFile;
use crate::secret::{Field, Fill, Kind, MAX_USES, MaskOption, Options, Place};

const EXIT_CODES: &str = "\
Exit codes:
  0  done; `why`: it would be substituted; `test`: the pattern matches
  1  it failed on the way (vault, audit log, reading, writing); `why`, `test`: no
  2  wrong usage, configuration, key, value, pattern or URL, or no such secret
  130  given up with Ctrl-C";

const VALUE_HELP: &str = "\
The value is never an argument. In a terminal it is asked for, twice, and not shown. Otherwise it is the whole of
standard input, without one newline at its end:
  printf %s \"$VALUE\" | bauta secret set x_password --domain example.com";

const KINDS: [Kind; 3] = [Kind::Credential, Kind::Env, Kind::Totp];
const MASKS: [MaskOption; 4] = [
    MaskOption::Auto,
    MaskOption::Always,
    MaskOption::Word,
    MaskOption::Never,
];
const PLACES: [Place; 6] = [
    Place::Field,
    Place::Header,
    Place::Basic,
    Place::Query,
    Place::Path,
    Place::Body,
];
const FIELDS: [Field; 3] = [Field::Input, Field::Password, Field::Any];
const FILLS: [Fill; 2] = [Fill::Page, Fill::Network];

/// The commands.
#[derive(Subcommand)]
pub(in crate::cli) enum SecretCommand {
    /// Store a secret; its value is typed or piped in
    #[command(after_help = EXIT_CODES, before_long_help = VALUE_HELP)]
    Set(SetArgs),
    /// Store all secrets of a file in the domain-specific JSON format, or none of them
    #[command(after_help = EXIT_CODES)]
    Import(ImportArgs),
    /// List secrets, without their values
    #[command(after_help = EXIT_CODES)]
    List(ListArgs),
    /// Show versions, options, assignments and last use of a secret; never its value
    #[command(after_help = EXIT_CODES)]
    Show(ShowArgs),
    /// Give a secret a new value; the old one stays masked until the time of grace is over
    #[command(after_help = EXIT_CODES, before_long_help = VALUE_HELP)]
    Rotate(RotateArgs),
    /// Remove a secret with all its versions
    #[command(after_help = EXIT_CODES)]
    Rm(RmArgs),
    /// Let an agent use a secret of its user, or no longer
    #[command(after_help = EXIT_CODES)]
    Assign(AssignArgs),
    /// Make an agent's secret one of its user; id and history stay
    #[command(after_help = EXIT_CODES)]
    Promote(PromoteArgs),
    /// Say whether a secret would be substituted at an origin, and if not, why
    #[command(after_help = EXIT_CODES)]
    Why(WhyArgs),
    /// Say whether a domain pattern matches a URL, and if not, why
    #[command(after_help = EXIT_CODES)]
    Test {
        /// A domain pattern, such as `*.example.com`
        pattern: String,
        /// A URL, such as <https://www.example.com/login>
        url: String,
    },
}

/// Which secret is meant; where key, domain and scope leave several, the command lists them.
#[derive(Args)]
pub(in crate::cli) struct Which {
    /// The secret's key: its placeholder's name
    pub(super) key: String,
    /// The domain pattern under which it stands, where there are several
    #[arg(long, value_name = "PATTERN")]
    pub(super) domain: Option<String>,
    /// The scope in which it stands, where there are several
    #[arg(long, value_name = "SCOPE")]
    pub(super) scope: Option<String>,
}

/// `secret set`.
#[derive(Args)]
pub(in crate::cli) struct SetArgs {
    #[command(flatten)]
    pub(super) config: ConfigFile,
    /// The secret's key: letters, digits and underscores, such as `x_password`
    pub(super) key: String,
    /// Where its value may go, such as <https://example.com> or `*.example.com`
    #[arg(long, value_name = "PATTERN")]
    pub(super) domain: String,
    /// Who may use it: task:ID, agent:ID, user:ID, profile:NAME or org:ID [default: the configured agent]
    #[arg(long, value_name = "SCOPE")]
    pub(super) scope: Option<String>,
    #[command(flatten)]
    pub(super) options: OptionArgs,
}

/// A secret's options (DESIGN 7.1, 7.5), as flags.
#[derive(Args)]
pub(in crate::cli) struct OptionArgs {
    /// What it is: a credential, a variable of the agent's environment, a seed of one-time codes
    #[arg(long, value_parser = PossibleValuesParser::new(KINDS.map(Kind::as_str)))]
    kind: Option<String>,
    /// The same as --kind env
    #[arg(long, conflicts_with = "kind")]
    env: bool,
    /// Where the value counts when masking
    #[arg(long, value_parser = PossibleValuesParser::new(MASKS.map(MaskOption::as_str)))]
    mask: Option<String>,
    /// A place of a request that takes the value; may be repeated [default: field, header, basic]
    #[arg(long, value_delimiter = ',', value_name = "PLACE", value_parser = PossibleValuesParser::new(PLACES.map(Place::as_str)))]
    allow: Vec<String>,
    /// Which form fields take the value
    #[arg(long, value_parser = PossibleValuesParser::new(FIELDS.map(Field::as_str)))]
    field: Option<String>,
    /// Whether the page gets the value, or only the request that leaves it
    #[arg(long, value_parser = PossibleValuesParser::new(FILLS.map(Fill::as_str)))]
    fill: Option<String>,
    /// How often it may be put into one request
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_USES)))]
    max_uses: Option<u32>,
    /// Find the value in any letter case
    #[arg(long)]
    ignore_case: bool,
}

impl OptionArgs {
    /// The options, defaults filled in.
    pub(super) fn options(&self) -> Options {
        let default = Options::default();
        let kind = if self.env {
            Kind::Env
        } else {
            word(self.kind.as_deref()).unwrap_or(default.kind)
        };
        let words = self.allow.iter();
        let allow: BTreeSet<Place> = words.filter_map(|word| word.parse().ok()).collect();
        Options {
            kind,
            mask: word(self.mask.as_deref()).unwrap_or(default.mask),
            allow: if allow.is_empty() {
                default.allow
            } else {
                allow
            },
            field: word(self.field.as_deref()).unwrap_or(default.field),
            fill: word(self.fill.as_deref()).unwrap_or(default.fill),
            max_uses: self.max_uses.unwrap_or(default.max_uses),
            ignore_case: self.ignore_case,
        }
    }
}

/// What a word that clap has let through stands for.
fn word<T: FromStr>(word: Option<&str>) -> Option<T> {
    word?.parse().ok()
}

/// `secret import`.
#[derive(Args)]
pub(in crate::cli) struct ImportArgs {
    #[command(flatten)]
    pub(super) config: ConfigFile,
    /// The file; - is standard input
    #[arg(value_name = "FILE|-")]
    pub(super) file: PathBuf,
    /// Who may use them: task:ID, agent:ID, user:ID, profile:NAME or org:ID [default: the configured agent]
    #[arg(long, value_name = "SCOPE")]
    pub(super) scope: Option<String>,
}

/// `secret list`.
#[derive(Args)]
pub(in crate::cli) struct ListArgs {
    #[command(flatten)]
    pub(super) config: ConfigFile,
    /// Only those that were neither changed nor used for so many days
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(0..=36_500))]
    pub(super) stale: Option<u32>,
    /// Only those of a scope
    #[arg(long, value_name = "SCOPE")]
    pub(super) scope: Option<String>,
    /// Only those of a key
    #[arg(long, value_name = "KEY")]
    pub(super) key: Option<String>,
}

/// `secret show`.
#[derive(Args)]
pub(in crate::cli) struct ShowArgs {
    #[command(flatten)]
    pub(super) config: ConfigFile,
    #[command(flatten)]
    pub(super) which: Which,
}

/// `secret rotate`.
#[derive(Args)]
pub(in crate::cli) struct RotateArgs {
    #[command(flatten)]
    pub(super) config: ConfigFile,
    #[command(flatten)]
    pub(super) which: Which,
    /// For how long the old value stays masked [default: grace under [vault]]
    #[arg(long, value_name = "SPAN")]
    pub(super) grace: Option<String>,
}

/// `secret rm`.
#[derive(Args)]
pub(in crate::cli) struct RmArgs {
    #[command(flatten)]
    pub(super) config: ConfigFile,
    #[command(flatten)]
    pub(super) which: Which,
    /// Do not ask; needed where standard input is no terminal
    #[arg(long, short)]
    pub(super) yes: bool,
}

/// `secret assign`.
#[derive(Args)]
pub(in crate::cli) struct AssignArgs {
    #[command(flatten)]
    pub(super) config: ConfigFile,
    #[command(flatten)]
    pub(super) which: Which,
    /// The agent's id
    #[arg(long, value_name = "ID")]
    pub(super) agent: String,
    /// Take the assignment back
    #[arg(long)]
    pub(super) remove: bool,
}

/// `secret promote`.
#[derive(Args)]
pub(in crate::cli) struct PromoteArgs {
    #[command(flatten)]
    pub(super) config: ConfigFile,
    #[command(flatten)]
    pub(super) which: Which,
    /// The user's id [default: agent.user of the configuration]
    #[arg(long, value_name = "ID")]
    pub(super) user: Option<String>,
}

/// `secret why`.
#[derive(Args)]
pub(in crate::cli) struct WhyArgs {
    #[command(flatten)]
    pub(super) config: ConfigFile,
    /// The secret's key
    pub(super) key: String,
    /// Where it would go, such as <https://example.com>
    #[arg(long, value_name = "URL")]
    pub(super) origin: String,
}
