// stele seal: hashes by which a change to the past shows.
#include "stele/seal.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "arguments.h"
#include "atomic_file.h"
#include "command_line.h"
#include "exit_codes.h"
#include "output.h"

namespace stele::cli {
namespace {

struct SealArguments {
  std::optional<std::string> checkpoint, name, key;
};

void write_whole(const std::string& path, std::string_view line) {
  AtomicFile file(path);
  file.writer().write_line(line);
  file.commit();
}

int seal(const Context& context, const SealArguments& arguments) {
  if (arguments.name && !arguments.checkpoint) throw UsageError("--name: goes into the file of --checkpoint");
  if (arguments.key && !arguments.checkpoint) throw UsageError("--sign: signs the file of --checkpoint");
  const std::string key = arguments.key ? read_file("--sign", *arguments.key) : std::string();
  EventStore store = context.open_store_as_stored();
  const SealResult result = seal_log(store);
  if (arguments.checkpoint) {
    const std::optional<Checkpoint> checkpoint = make_checkpoint(store, arguments.name.value_or("stele"));
    if (!checkpoint) throw Error(ErrorCode::not_found, "nothing was ever appended, so there is nothing to check later");
    const std::string line = to_json_line(*checkpoint);
    const std::string signature = arguments.key ? sign(line, key) : std::string();
    const std::string signature_file = *arguments.checkpoint + ".sig";
    // The one before it has a signature that is not this one's.
    if (::unlink(signature_file.c_str()) != 0 && errno != ENOENT) {
      throw CommandFailure(exit_failed, signature_file + ": " + std::strerror(errno));
    }
    write_whole(*arguments.checkpoint, line);
    if (arguments.key) write_whole(signature_file, signature);
  }
  if (context.json) {
    nlohmann::ordered_json object{{"seals", result.seals}, {"events", result.events}};
    if (result.last) {
      object["seal_number"] = result.last->number;
      object["position"] = result.last->to.value();
      object["seal_hash"] = to_hex(result.last->hash);
    }
    out().write_line(object.dump());
  } else {
    out().write_line(counted(result.events, "event") + " sealed" +
                     (result.last ? ", up to position " + std::to_string(result.last->to.value()) : ""));
  }
  return exit_ok;
}

}  // namespace

void add_seal(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("seal", "Hash what was appended since the last time, so that a change to it shows");
  command->footer(
      R"(`verify --chain` checks the hashes. Whoever may write everything can compute all of them anew: keep checkpoints, the last
seal as a line of JSON, where nobody who can write to the database can write, and give them to `verify`.)");
  auto arguments = std::make_shared<SealArguments>();
  add_value(*command, "--checkpoint", arguments->checkpoint, "Write the last seal to this file", "FILE");
  add_value(*command, "--name", arguments->name, "Which store it is, in the checkpoint; \"stele\" unless given",
            "NAME");
  add_value(*command, "--sign", arguments->key, "Sign it with this Ed25519 key (PEM); the signature goes to FILE.sig",
            "KEYFILE");
  command->callback(
      [&context, arguments] { context.action = [&context, arguments] { return seal(context, *arguments); }; });
}

}  // namespace stele::cli
