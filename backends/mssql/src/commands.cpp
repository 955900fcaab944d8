#include "commands.h"

#include "errors.h"
#include "stele/driver/outcome.h"

namespace stele::mssql {
namespace {

constexpr std::string_view columns =
    "SELECT tenant_id, source, request_id, command_id, command_type, stream_type, stream_id, actor_type, actor_id, "
    "channel, data, outcome, recorded_at FROM $(schema).commands ";

CommandRecord read_row(const Result& rows, int row) {
  CommandRecord record;
  record.key =
      CommandKey{std::string(rows.text(row, 0)), std::string(rows.text(row, 1)), std::string(rows.text(row, 2))};
  record.command_id = rows.uuid(row, 3);
  record.type = rows.text(row, 4);
  if (!rows.is_null(row, 5)) {
    record.stream = StreamKey(record.key.tenant, std::string(rows.text(row, 5)), std::string(rows.text(row, 6)));
  }
  if (!rows.is_null(row, 7)) {
    const auto type = parse_actor_type(rows.text(row, 7));
    if (!type) throw make_error(ErrorCode::corrupt, "a command has an actor type outside the list");
    record.actor = Actor{*type, std::string(rows.text(row, 8))};
  }
  if (!rows.is_null(row, 9)) record.channel = parse_channel(rows.text(row, 9));
  if (!rows.is_null(row, 10)) record.data = Json::trusted(std::string(rows.json(row, 10)));
  record.outcome = driver::outcome_from_json(rows.json(row, 11), record.key.tenant);
  record.recorded_at = rows.time(row, 12);
  return record;
}

std::optional<CommandRecord> single(const Result& rows) {
  if (rows.rows() == 0) return std::nullopt;
  return read_row(rows, 0);
}

}  // namespace

std::optional<CommandRecord> find_command(Session& session, const CommandKey& key) {
  static const std::string sql = std::string(columns) + "WHERE tenant_key = ? AND source_key = ? AND request_key = ?";
  return single(session.execute(
      sql, Parameters().add(Type::bytes, key.tenant).add(Type::bytes, key.source).add(Type::bytes, key.request_id)));
}

std::optional<CommandRecord> find_command(Session& session, const Uuid& command_id) {
  static const std::string sql = std::string(columns) + "WHERE command_id = ?";
  return single(session.execute(sql, Parameters().add(Type::uuid, command_id)));
}

std::vector<CommandRecord> list_commands(Session& session, const StreamKey& stream, std::size_t limit) {
  static const std::string sql = std::string(columns) +
                                 "WHERE tenant_key = ? AND type_key = ? AND stream_key = ? AND stream_key IS NOT NULL "
                                 "ORDER BY command_no DESC OFFSET 0 ROWS FETCH NEXT ? ROWS ONLY";
  const Result rows = session.execute(sql, Parameters()
                                               .add(Type::bytes, stream.tenant)
                                               .add(Type::bytes, stream.type)
                                               .add(Type::bytes, stream.id)
                                               .add(Type::int8, limit));
  std::vector<CommandRecord> list;
  for (int row = 0; row < rows.rows(); ++row) list.push_back(read_row(rows, row));
  return list;
}

}  // namespace stele::mssql
