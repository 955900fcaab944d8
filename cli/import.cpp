// stele import FILE: events from NDJSON, each exactly once however often it is repeated.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "arguments.h"
#include "command_line.h"
#include "exit_codes.h"
#include "import_groups.h"
#include "line_reader.h"
#include "output.h"
#include "progress.h"
#include "stele/error.h"

namespace stele::cli {
namespace {

constexpr std::size_t max_batch_bytes = 8u << 20;

struct ImportArguments {
  std::string file;
  std::optional<std::string> batch, rejects, request_source;
  bool dry_run = false;
  bool as_stored = false;
};

/// The file that takes the lines that could not be imported, as they are.
class RejectsFile {
 public:
  explicit RejectsFile(const std::string& path)
      : descriptor_(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)), writer_(descriptor_, path) {
    if (descriptor_ < 0) throw CommandFailure(exit_failed, path + ": " + std::strerror(errno));
  }
  ~RejectsFile() { ::close(descriptor_); }
  RejectsFile(const RejectsFile&) = delete;
  RejectsFile& operator=(const RejectsFile&) = delete;
  FileWriter& writer() noexcept { return writer_; }

 private:
  int descriptor_;
  FileWriter writer_;
};

/// Thrown at the first bad line when rejects are not collected. It has been reported.
struct Stopped {
  std::int64_t line;
};

/// Whether the store holds just these events, each under this command. Their command came from elsewhere then, and has
/// another fingerprint than an import gives it: this is how an export finds itself in its own store.
bool holds_these_events(EventStore& store, const AppendRequest& request) {
  for (const StreamAppend& append : request.streams) {
    std::optional<Version> before;
    for (const NewEvent& event : append.events) {
      if (!event.event_id) return false;
      const std::optional<RecordedEvent> stored = store.find_event(*event.event_id);
      if (!stored || stored->stream != append.stream || stored->command != request.command->key) return false;
      if (before && stored->version != Version(before->value() + 1)) return false;
      before = stored->version;
      RecordedEvent asked = *stored;
      static_cast<EventFields&>(asked) = event;
      if (event.occurred_at) asked.occurred_at = *event.occurred_at;
      if (!asked.causation_id) asked.causation_id = stored->causation_id;
      if (!asked.source) asked.source = request.command->key.source;
      if (!json_equal(Json::trusted(to_json_line(asked)), Json::trusted(to_json_line(*stored)))) return false;
    }
  }
  return true;
}

std::string reason_of(const AppendResult& result) {
  try {
    result.or_throw();
  } catch (const Error& error) {
    return std::string(to_string(error.code())) + ": " + error.message();
  }
  return {};
}

class Import {
 public:
  Import(const Context& context, const ImportArguments& arguments)
      : context_(context),
        reader_(arguments.file),
        batch_events_(static_cast<std::size_t>(
            arguments.batch ? parse_integer("--batch", *arguments.batch, 1, 1'000'000) : 1'000)),
        as_stored_(arguments.as_stored),
        progress_("import", "events", context.quiet) {
    if (arguments.rejects && reader_.same_file_as(*arguments.rejects)) {
      throw UsageError("--rejects: is the file that is imported");
    }
    if (!arguments.dry_run) {
      store_.emplace(arguments.as_stored ? context.open_store_as_stored() : context.open_store());
    }
    if (arguments.rejects) rejects_.emplace(*arguments.rejects);
  }

  int run(std::optional<std::string> request_source) {
    std::optional<std::int64_t> stopped_at;
    try {
      LineGrouper grouper([this](LineGroup&& group) { take(std::move(group)); }, rejects_.has_value(),
                          std::move(request_source), as_stored_);
      read_lines(grouper);
      grouper.finish();
      flush();
    } catch (const Stopped& stop) {
      stopped_at = stop.line;
    } catch (const Error&) {
      progress_.finish();
      if (rejects_) rejects_->writer().flush();
      if (!context_.quiet) message("stele: import: " + summary() + " before it failed. " + advice);
      throw;
    }
    progress_.finish();
    if (rejects_) rejects_->writer().flush();
    print_summary(stopped_at);
    return stopped_at || rejected_ > 0 ? exit_failed : exit_ok;
  }

 private:
  static constexpr const char* advice = "Nothing is in by halves; a repetition goes on from there.";

  void read_lines(LineGrouper& grouper) {
    for (;;) {
      std::string_view line;
      const LineReader::Found found = reader_.next(line);
      if (found == LineReader::Found::end) return;
      if (found == LineReader::Found::too_long) {
        grouper.finish();
        refuse_long_line();
        continue;
      }
      if (reader_.line_number() == 1) {
        if (line.substr(0, 2) == "\x1f\x8b") {
          throw CommandFailure(exit_failed, reader_.name() + ": is compressed; try: zcat FILE | stele import -");
        }
        if (line.substr(0, 3) == "\xef\xbb\xbf") line.remove_prefix(3);  // A byte order mark.
      }
      if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
      grouper.add(reader_.line_number(), line);
    }
  }

  void take(LineGroup&& group) {
    waiting_lines_ += group.lines.size();
    waiting_bytes_ += group.bytes;
    const bool stop = !rejects_ && !group.importable();
    waiting_.push_back(std::move(group));
    if (stop || waiting_lines_ >= batch_events_ || waiting_bytes_ >= max_batch_bytes) flush();
  }

  /// A batch is refused as a whole for what one of its payloads lacks: then one after the other, to find which.
  std::vector<AppendResult> append(const std::vector<AppendRequest>& requests, std::vector<std::string>& refused) {
    try {
      return store_->append_all(requests);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::schema_violation) throw;
    }
    std::vector<AppendResult> results(requests.size());
    for (std::size_t i = 0; i < requests.size(); ++i) {
      try {
        results[i] = store_->append(requests[i]);
      } catch (const Error& error) {
        if (error.code() != ErrorCode::schema_violation) throw;
        refused[i] = std::string(to_string(error.code())) + ": " + error.message();
      }
    }
    return results;
  }

  /// Appends the batch, and reports what cannot be imported in the order of the file.
  void flush() {
    std::vector<AppendRequest> requests;
    for (LineGroup& group : waiting_) {
      if (group.importable()) requests.push_back(std::move(group.request));
    }
    std::vector<std::string> refused(requests.size());
    std::vector<AppendResult> results;
    if (store_) results = append(requests, refused);
    std::size_t next = 0;
    for (LineGroup& group : waiting_) {
      if (!group.importable()) continue;
      const AppendRequest& request = requests[next];
      const auto count = static_cast<std::int64_t>(group.lines.size());
      if (!refused[next].empty()) {
        group.lines.front().reason = refused[next];
      } else if (!store_ || results[next].status == AppendStatus::appended) {
        imported_ += count;
      } else if (results[next].replayed() ||
                 (results[next].status == AppendStatus::request_id_reused && holds_these_events(*store_, request))) {
        present_ += count;
      } else {
        group.lines.front().reason = reason_of(results[next]);
      }
      ++next;
    }
    const std::vector<LineGroup> done = std::exchange(waiting_, {});
    waiting_lines_ = waiting_bytes_ = 0;
    for (const LineGroup& group : done) {
      if (!group.importable()) reject(group);
    }
    progress_.update(imported_ + present_, reader_.bytes_done(), reader_.bytes_total());
  }

  void reject(const LineGroup& group) {
    std::int64_t first_bad = 0;
    for (const ImportLine& line : group.lines) {
      if (first_bad == 0 && !line.reason.empty()) first_bad = line.number;
    }
    for (const ImportLine& line : group.lines) {
      if (!rejects_ && line.number != first_bad) continue;
      report(line.number, line.reason.empty() ? "not imported, because line " + std::to_string(first_bad) +
                                                    " of the same request was not"
                                              : line.reason);
      if (rejects_) rejects_->writer().write_line(line.text);
      ++rejected_;
    }
    if (!rejects_) throw Stopped{first_bad};
  }

  void refuse_long_line() {
    flush();
    const std::int64_t number = reader_.line_number();
    report(number, "is longer than " + std::to_string(LineReader::max_line_bytes) + " bytes");
    ++rejected_;
    if (!rejects_) throw Stopped{number};
    reader_.skip_line(&rejects_->writer());
  }

  void report(std::int64_t number, const std::string& reason) {
    progress_.finish();
    if (context_.json) {
      nlohmann::ordered_json object{
          {"error", "bad_line"}, {"file", reader_.name()}, {"line", number}, {"message", reason}};
      message(object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    } else {
      message("stele: import: " + printable(reader_.name()) + ": line " + std::to_string(number) + ": " +
              printable(reason));
    }
  }

  std::string summary() const {
    return counted(imported_, "event") + (store_ ? " imported, " : " could be imported, ") + with_thousands(present_) +
           " already there, " + counted(rejected_, "line") + " rejected";
  }

  void print_summary(std::optional<std::int64_t> stopped_at) {
    if (context_.json) {
      nlohmann::ordered_json object{
          {"imported", imported_}, {"already_there", present_}, {"rejected", rejected_}, {"dry_run", !store_}};
      if (stopped_at) object["stopped_at_line"] = *stopped_at;
      out().write_line(object.dump());
      return;
    }
    out().write_line(summary());
    if (stopped_at && !context_.quiet) {
      out().flush();
      message("stele: import: stopped at line " + std::to_string(*stopped_at) + ". " + advice);
    }
  }

  const Context& context_;
  LineReader reader_;
  std::size_t batch_events_;
  bool as_stored_;
  Progress progress_;
  std::optional<EventStore> store_;  ///< None: only check the lines.
  std::optional<RejectsFile> rejects_;
  std::vector<LineGroup> waiting_;
  std::size_t waiting_lines_ = 0;
  std::size_t waiting_bytes_ = 0;
  std::int64_t imported_ = 0;
  std::int64_t present_ = 0;
  std::int64_t rejected_ = 0;
};

}  // namespace

void add_import(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("import", "Append events from a file of JSON lines; a repetition adds nothing");
  command->footer(
      R"(One event a line, with the fields that `export` and `--json` print. stream_type, stream_id, event_type and data are
required, and a request_id (with a source) or an event_id, by which a repetition finds what is there. Consecutive
lines with the same source and request_id are one append: all or nothing. With --request-source, a line that has
neither id becomes the request NAME:line number. So each file needs a name of its own, and may only grow at its end.

A bad line stops the import with exit code 1, after the requests before it were imported. With --rejects, bad lines
and all other lines of their request go to that file as they are, the reasons to standard error, and the import goes
on; the exit code is still 1. What only the store finds, such as an event id that is taken, is found for a whole
batch at once, so that later requests of that batch are imported all the same.)");
  auto arguments = std::make_shared<ImportArguments>();
  command->add_option("FILE", arguments->file, "The file, or - for standard input")->required();
  add_value(*command, "--batch", arguments->batch, "Write in batches of about so many events; 1000 unless given", "N");
  add_value(*command, "--rejects", arguments->rejects, "Collect bad lines in this file, and go on", "FILE");
  add_value(*command, "--request-source", arguments->request_source,
            "For lines with neither request_id nor event_id; see below", "NAME");
  command->add_flag("--as-stored", arguments->as_stored,
                    "Take what another store has encrypted as it is; only its keys open it");
  command->add_flag("--dry-run", arguments->dry_run, "Check the lines and write nothing; needs no database");
  command->callback([&context, arguments] {
    context.action = [&context, arguments] { return Import(context, *arguments).run(arguments->request_source); };
  });
}

}  // namespace stele::cli
