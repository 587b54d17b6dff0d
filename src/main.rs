//! The `bauta` command. Wires the command line to the application; everything else is in the library.

use std::process::ExitCode;

use bauta::app;
use bauta::cli::{self, Commands};

fn main() -> ExitCode {
    cli::main(
        std::env::args_os(),
        &Commands {
            serve: |args| match app::serve(&args) {
                Ok(()) => Ok(ExitCode::SUCCESS),
                Err(error) if error.is_input() => Ok(cli::wrong_input(args.global, &error)),
                Err(error) => Err(error.into()),
            },
            run: |args| match app::run(&args) {
                Ok(code) => Ok(ExitCode::from(code)),
                Err(error) => Ok(cli::failed(args.global, &error, error.exit_code())),
            },
            demo: |args| Ok(app::demo(args)?),
            needles: app::needles_of,
            settings: app::vault::settings,
            keeper: app::vault::keeper,
            recorder: app::vault::command_recorder,
            files: app::check::files,
        },
    )
}
