// The command line: reads the arguments, runs one command, and turns whatever comes of it into a message and an exit
// code.
#include <fcntl.h>

#include <cerrno>
#include <csignal>
#include <nlohmann/json.hpp>
#include <string_view>

#include "command_line.h"
#include "exit_codes.h"
#include "output.h"
#include "stele/error.h"

namespace {

using namespace stele::cli;

constexpr const char* footer =
    R"(URL: --url, else the environment variable STELE_URL, else `url = ...` in ~/.config/stele/config. For example
  sqlite:books.db   sqlite:///var/lib/app/books.db   postgresql://app@db.example.org/app?schema=books
  mssql://app@db.example.org/app?schema=books

Exit codes: 0 ok, 1 failed, 2 usage, 3 conflict, 4 not found, 5 schema not up to date, 6 cannot connect,
  7 busy or timed out, 8 integrity violation)";

void report(bool json, std::string_view code, std::string_view text, int exit, const stele::Error* error = nullptr) {
  if (json) {
    nlohmann::ordered_json object;
    object["error"] = code;
    object["message"] = text;
    object["exit_code"] = exit;
    if (error != nullptr) {
      if (!error->backend().empty()) object["backend"] = error->backend();
      if (error->native_code() != 0) object["native_code"] = error->native_code();
      if (!error->sqlstate().empty()) object["sqlstate"] = error->sqlstate();
      object["retryable"] = error->retryable();
      object["outcome"] = to_string(error->outcome());
    }
    message(object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    return;
  }
  message("stele: " + printable(text));
}

/// The number of one that is closed would be given to the next connection, which would then get what is printed. Opened
/// the wrong way round, it fails as one that is closed.
void hold_standard_descriptors() noexcept {
  for (const int descriptor : {0, 1, 2}) {
    if (::fcntl(descriptor, F_GETFD) >= 0 || errno != EBADF) continue;
    [[maybe_unused]] const int opened = ::open("/dev/null", descriptor == 0 ? O_WRONLY : O_RDONLY);
  }
}

/// What was printed before a failure is not lost.
int run_and_flush(const Context& context) {
  int code = exit_ok;
  try {
    context.default_to_tenant_of_url();
    code = context.action();
  } catch (const OutputError&) {
    throw;
  } catch (...) {
    try {
      out().flush();
    } catch (const OutputError&) {
      // The failure that brought us here says more.
    }
    throw;
  }
  out().flush();
  return code;
}

int run(const Context& context) {
  try {
    return run_and_flush(context);
  } catch (const OutputError& error) {
    if (!error.broken_pipe()) report(context.json, "output", error.what(), exit_failed);
    return exit_failed;
  } catch (const UsageError& error) {
    report(context.json, "usage", error.what(), exit_usage);
    return exit_usage;
  } catch (const CommandFailure& error) {
    report(context.json, "failed", error.what(), error.code());
    return error.code();
  } catch (const stele::Error& error) {
    const ExitCode code = exit_code(error.code());
    report(context.json, to_string(error.code()), error.message(), code, &error);
    return code;
  } catch (const std::bad_alloc&) {
    report(context.json, "failed", "out of memory", exit_failed);
    return exit_failed;
  }
}

}  // namespace

int main(int argc, char** argv) {
  hold_standard_descriptors();
  std::signal(SIGPIPE, SIG_IGN);  // Writes report it instead.

  CLI::App app("An event store on the database that a URL names.", "stele");
  app.footer(footer);
  app.fallthrough();  // Options of all commands may also stand behind the command.
  app.require_subcommand(1);
  app.set_version_flag("--version", "stele " STELE_CLI_VERSION);
  app.get_formatter()->column_width(34);

  Context context;
  app.add_option("--url", context.url_flag, "The database")->type_name("URL");
  app.add_flag("--json", context.json, "Print JSON, one object a line");
  app.add_flag("-q,--quiet", context.quiet, "No progress bar and no summary on standard error");

  app.add_option("--keys", context.keys_flag,
                 "Where the master keys are: file:PATH, env:VARIABLE or command:PROGRAM; else STELE_KEYS")
      ->type_name("KEYS");
  add_value(app, "--clearance", context.clearance, "Show no more than this: none, partial, full or secrets", "LEVEL");

  add_migrate(app, context);
  add_append(app, context);
  add_read(app, context);
  add_log(app, context);
  add_streams(app, context);
  add_trace(app, context);
  add_command(app, context);
  add_import(app, context);
  add_export(app, context);
  add_copy(app, context);
  add_retention(app, context);
  add_archive(app, context);
  add_stats(app, context);
  add_schema(app, context);
  add_rules(app, context);
  add_keys(app, context);
  add_seal(app, context);
  add_snapshot(app, context);
  add_projection(app, context);
  add_relay(app, context);
  add_verify(app, context);
  add_roles(app, context);
  add_tenants(app, context);

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help, --version
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    // The flag may not have been read yet.
    bool json = false;
    for (int i = 1; i < argc; ++i) json = json || std::string_view(argv[i]) == "--json";
    report(json, "usage", std::string(error.what()) + "; see --help", exit_usage);
    return exit_usage;
  }
  return run(context);
}
