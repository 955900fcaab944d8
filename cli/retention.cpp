// stele retention: how long events have to be kept, and which are past their time. Nothing is ever deleted.
#include "stele/retention.h"

#include <nlohmann/json.hpp>

#include "arguments.h"
#include "command_line.h"
#include "exit_codes.h"
#include "output.h"

namespace stele::cli {
namespace {

struct RetentionArguments {
  std::string tenant;
  std::optional<std::string> at;
  bool streams = false;
};

void print_json(const TypeRetention& type) {
  nlohmann::ordered_json object{{"event_type", type.event_type}};
  if (type.keep_days) object["keep_days"] = *type.keep_days;
  object["events"] = type.events;
  if (type.oldest) object["oldest"] = type.oldest->to_string();
  object["past"] = type.past;
  object["must_be_kept"] = type.must_be_kept;
  out().write_line(object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

void print_json(const StreamInfo& info) {
  nlohmann::ordered_json object;
  if (info.stream.tenant != default_tenant) object["tenant_id"] = info.stream.tenant;
  object["stream_type"] = info.stream.type;
  object["stream_id"] = info.stream.id;
  object["stream_version"] = info.version.value();
  object["last_recorded_at"] = info.last_recorded_at.to_string();
  out().write_line(object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

int list_streams_past(const Context& context, EventStore& store, const RetentionArguments& arguments, Timestamp at) {
  Table table({{"STREAM"}, {"VERSION", Table::Align::right}, {"LAST RECORDED"}});
  retention_report(store, arguments.tenant, at, [&](const StreamInfo& info) {
    if (context.json) {
      print_json(info);
    } else {
      table.add({printable(info.stream.to_string()), std::to_string(info.version.value()),
                 info.last_recorded_at.to_string()});
    }
  });
  table.end();
  return exit_ok;
}

int report_retention(const Context& context, const RetentionArguments& arguments) {
  const Timestamp at = arguments.at ? parse_time("--at", *arguments.at) : Timestamp::now();
  EventStore store = context.open_store_as_stored();
  if (arguments.streams) return list_streams_past(context, store, arguments, at);
  const RetentionReport report = retention_report(store, arguments.tenant, at);
  Table table({{"TYPE"},
               {"KEEP DAYS", Table::Align::right},
               {"EVENTS", Table::Align::right},
               {"PAST", Table::Align::right},
               {"TO KEEP", Table::Align::right},
               {"OLDEST"}});
  for (const TypeRetention& type : report.types) {
    if (context.json) {
      print_json(type);
      continue;
    }
    const bool rule = type.keep_days.has_value();
    table.add({printable(type.event_type), rule ? std::to_string(*type.keep_days) : "-", with_thousands(type.events),
               rule ? with_thousands(type.past) : "-", rule ? with_thousands(type.must_be_kept) : "-",
               type.oldest ? type.oldest->to_string() : "-"});
  }
  table.end();
  if (context.json) {
    out().write_line(nlohmann::ordered_json{{"streams", report.streams}, {"streams_past", report.streams_past}}.dump());
  } else {
    out().write_line(counted(report.streams_past, "stream") + " of " + with_thousands(report.streams) +
                     " with nothing but events past their time");
  }
  return exit_ok;
}

}  // namespace

void add_retention(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("retention", "Show how long events have to be kept, and how many are past that; reads only");
  command->footer(
      R"(The times are those of `rules set TYPE --keep-days N`, from recorded_at on. No command deletes events. What is past its time
can be archived (`archive write`); what is about a person and has to go is made unreadable (`forget`).)");
  auto arguments = std::make_shared<RetentionArguments>();
  command->add_flag("--streams", arguments->streams, "List the streams that hold only events past their time");
  add_value(*command, "--at", arguments->at, "As it will be, or was, at this time; now unless given", "TIME");
  add_tenant(*command, context, arguments->tenant);
  command->callback([&context, arguments] {
    context.action = [&context, arguments] { return report_retention(context, *arguments); };
  });
}

}  // namespace stele::cli
