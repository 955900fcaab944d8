#include "commands.h"

#include "errors.h"
#include "stele/driver/outcome.h"

namespace stele::sqlite {
namespace {

constexpr std::string_view columns =
    "SELECT tenant_no, source_no, request_id, command_id, command_type_no, stream_type_no, stream_id, actor_type, "
    "actor_id, "
    "channel, data, outcome, recorded_at FROM commands ";

CommandRecord read_row(Session& session, const Statement& row) {
  Names& names = session.names();
  CommandRecord record;
  record.key.tenant = names.name(row.int64(0));
  record.key.source = names.name(row.int64(1));
  record.key.request_id = row.text(2);
  record.command_id = row.uuid(3);
  record.type = names.name(row.int64(4));
  if (!row.is_null(6)) record.stream = StreamKey(record.key.tenant, names.name(row.int64(5)), std::string(row.text(6)));
  if (!row.is_null(7)) {
    const auto type = parse_actor_type(row.text(7));
    if (!type) throw make_error(ErrorCode::corrupt, "a command has an actor type outside the list");
    record.actor = Actor{*type, std::string(row.text(8))};
  }
  if (!row.is_null(9)) record.channel = parse_channel(row.text(9));
  if (!row.is_null(10)) record.data = Json::trusted(std::string(row.text(10)));
  record.outcome = driver::outcome_from_json(row.text(11), record.key.tenant);
  record.recorded_at = row.time(12);
  return record;
}

}  // namespace

std::optional<CommandRecord> find_command(Session& session, const CommandKey& key) {
  const auto tenant_no = session.names().find(key.tenant);
  const auto source_no = session.names().find(key.source);
  if (!tenant_no || !source_no) return std::nullopt;
  static const std::string sql = std::string(columns) + "WHERE tenant_no = ?1 AND source_no = ?2 AND request_id = ?3";
  const Use query = session.use(sql);
  query->bind(1, *tenant_no);
  query->bind(2, *source_no);
  query->bind(3, key.request_id);
  if (!query->step()) return std::nullopt;
  return read_row(session, *query);
}

std::optional<CommandRecord> find_command(Session& session, const Uuid& command_id) {
  static const std::string sql = std::string(columns) + "WHERE command_id = ?1";
  const Use query = session.use(sql);
  query->bind(1, command_id);
  if (!query->step()) return std::nullopt;
  return read_row(session, *query);
}

std::vector<CommandRecord> list_commands(Session& session, const StreamKey& stream, std::size_t limit) {
  std::vector<CommandRecord> list;
  const auto tenant_no = session.names().find(stream.tenant);
  const auto type_no = session.names().find(stream.type);
  if (!tenant_no || !type_no) return list;
  static const std::string sql =
      std::string(columns) +
      "INDEXED BY commands_stream WHERE tenant_no = ?1 AND stream_type_no = ?2 AND stream_id = ?3 "
      "ORDER BY command_no DESC LIMIT ?4";
  const Use query = session.use(sql);
  query->bind(1, *tenant_no);
  query->bind(2, *type_no);
  query->bind(3, stream.id);
  query->bind(4, static_cast<std::int64_t>(limit));
  while (query->step()) list.push_back(read_row(session, *query));
  return list;
}

}  // namespace stele::sqlite
