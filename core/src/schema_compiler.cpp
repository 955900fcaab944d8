#include <algorithm>
#include <charconv>
#include <limits>
#include <unordered_map>

#include "nearest_name.h"
#include "schema_rules.h"
#include "stele/error.h"
#include "uri_reference.h"
#include "utf8.h"

namespace stele::detail {

void append_pointer_token(std::string_view token, std::string& pointer) {
  pointer += '/';
  for (const char c : token) {
    if (c == '~') {
      pointer += "~0";
    } else if (c == '/') {
      pointer += "~1";
    } else {
      pointer += c;
    }
  }
}

std::size_t ObjectRules::slot(std::string_view name) const noexcept {
  const auto found =
      std::lower_bound(known.begin(), known.end(), name, [](const Known& a, std::string_view b) { return a.name < b; });
  return found == known.end() || found->name != name ? known.size() : static_cast<std::size_t>(found - known.begin());
}

namespace {

// A document has at most limits::json_depth levels, and so many schemas may apply to one value one within the other: as
// much stack as any thread has, and more than anybody writes.
constexpr std::size_t in_place_depth = 40;

constexpr std::string_view this_draft = "http://json-schema.org/draft-07/schema";

constexpr auto annotations =
    std::to_array<std::string_view>({"$schema", "$id", "$comment", "title", "description", "default", "examples",
                                     "readOnly", "writeOnly", "definitions"});

constexpr auto asserted = std::to_array<std::string_view>({"type",
                                                           "enum",
                                                           "const",
                                                           "multipleOf",
                                                           "maximum",
                                                           "exclusiveMaximum",
                                                           "minimum",
                                                           "exclusiveMinimum",
                                                           "maxLength",
                                                           "minLength",
                                                           "pattern",
                                                           "items",
                                                           "additionalItems",
                                                           "maxItems",
                                                           "minItems",
                                                           "uniqueItems",
                                                           "contains",
                                                           "maxProperties",
                                                           "minProperties",
                                                           "required",
                                                           "properties",
                                                           "patternProperties",
                                                           "additionalProperties",
                                                           "dependencies",
                                                           "propertyNames",
                                                           "if",
                                                           "then",
                                                           "else",
                                                           "allOf",
                                                           "anyOf",
                                                           "oneOf",
                                                           "not",
                                                           "$ref"});

bool is_schema(const JsonNode& node) noexcept {
  return node.kind == JsonKind::object || node.kind == JsonKind::boolean_true || node.kind == JsonKind::boolean_false;
}

std::string pointer(const std::string& location, std::string_view token) {
  std::string longer = location;
  append_pointer_token(token, longer);
  return longer;
}

std::string named(const std::string& location) {
  return location.empty() ? "schema" : "schema " + location;
}

[[noreturn]] void refuse(const std::string& location, std::string_view why,
                         ErrorCode code = ErrorCode::invalid_argument) {
  throw Error(code, named(location) + ": " + std::string(why));
}

std::string shortened(std::string_view text) {
  constexpr std::size_t most = 200;
  if (text.size() <= most) return std::string(text);
  std::size_t end = most;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return std::string(text.substr(0, end)) + "…";
}

/// A place in the document, with the base that its references have.
struct Place {
  const JsonNode* node = nullptr;
  std::string location;
  std::string base;
};

class Compiler {
 public:
  explicit Compiler(const JsonTree& tree) : root_(tree.root()) {}

  CompiledSchema run() {
    if (!is_schema(root_)) refuse("", "has to be an object, true or false");
    documents_.emplace("", Place{&root_, "", ""});
    find_ids({&root_, "", ""});
    want(documents_.at(""));
    while (!left_.empty()) {
      const auto [schema, place] = std::move(left_.back());
      left_.pop_back();
      compile(*schema, place);
    }
    refuse_endless();
    std::sort(compiled_.ignored.begin(), compiled_.ignored.end(),
              [](const IgnoredKeyword& a, const IgnoredKeyword& b) { return a.schema_pointer < b.schema_pointer; });
    return std::move(compiled_);
  }

 private:
  // --- Where references lead

  static bool has_own_base(const JsonNode& node) {
    const JsonNode* id = find_member(node, "$id");
    return id != nullptr && id->kind == JsonKind::string && find_member(node, "$ref") == nullptr;
  }

  static std::string base_of(const JsonNode& node, const std::string& outer) {
    if (!has_own_base(node)) return outer;
    const std::string id = resolve_uri(outer, find_member(node, "$id")->text);
    return id.substr(0, id.find('#'));
  }

  /// Registers every `$id` of a schema in the place of a schema.
  void find_ids(Place place) {
    const JsonNode& node = *place.node;
    if (node.kind != JsonKind::object || find_member(node, "$ref") != nullptr) {
      // What stands beside a reference is no schema, but its definitions may still be referred to by pointer.
      return;
    }
    if (const JsonNode* id = find_member(node, "$id"); id != nullptr) {
      if (id->kind != JsonKind::string) refuse(pointer(place.location, "$id"), "has to be a string");
      const std::string uri = resolve_uri(place.base, id->text);
      const std::size_t hash = uri.find('#');
      const std::string base = uri.substr(0, hash);
      const bool anchor = hash != std::string::npos && hash + 1 != uri.size();
      // With the base from outside, as every place has it: who goes in resolves the $id.
      const auto added = documents_.emplace(anchor ? uri : base, place);
      if (!added.second && added.first->second.node != place.node) {
        refuse(pointer(place.location, "$id"), "is taken by the schema at " + named(added.first->second.location));
      }
      place.base = base;
    }
    for (const JsonNode* member = node.begin(); member != node.end(); member = member->next()) {
      const std::string_view name = member->name;
      const Place child{member, pointer(place.location, name), place.base};
      if (name == "additionalProperties" || name == "additionalItems" || name == "contains" ||
          name == "propertyNames" || name == "not" || name == "if" || name == "then" || name == "else" ||
          (name == "items" && member->kind != JsonKind::array)) {
        find_ids(child);
      } else if (name == "definitions" || name == "properties" || name == "patternProperties" ||
                 name == "dependencies") {
        if (member->kind != JsonKind::object) continue;
        for (const JsonNode* c = member->begin(); c != member->end(); c = c->next()) {
          find_ids({c, pointer(child.location, c->name), place.base});
        }
      } else if (name == "allOf" || name == "anyOf" || name == "oneOf" || name == "items") {
        if (member->kind != JsonKind::array) continue;
        std::size_t index = 0;
        for (const JsonNode* c = member->begin(); c != member->end(); c = c->next()) {
          find_ids({c, pointer(child.location, std::to_string(index++)), place.base});
        }
      }
    }
  }

  Place resolve(const Place& from, const JsonNode& ref, const std::string& location) {
    const std::string quoted = "\"" + shortened(ref.text) + "\" ";
    const std::string uri = resolve_uri(from.base, ref.text);
    const std::size_t hash = uri.find('#');
    const std::string document = uri.substr(0, hash);
    const std::optional<std::string> fragment =
        percent_decoded(hash == std::string::npos ? std::string_view() : std::string_view(uri).substr(hash + 1));
    if (!fragment || !is_valid_utf8(*fragment)) refuse(location, quoted + "is no URI reference");
    if (!fragment->empty() && fragment->front() != '/') {
      const auto anchor = documents_.find(document + "#" + *fragment);
      if (anchor != documents_.end()) return anchor->second;
    }
    const auto found = documents_.find(document);
    if (found == documents_.end()) {
      refuse(location, quoted + "names another document; references are followed within the schema only",
             ErrorCode::unsupported);
    }
    if (fragment->empty()) return found->second;
    if (fragment->front() != '/') refuse(location, quoted + "names nothing in the schema");
    return walk(found->second, *fragment, location, quoted);
  }

  static Place walk(Place place, std::string_view way, const std::string& location, const std::string& quoted) {
    while (!way.empty()) {
      way.remove_prefix(1);  // the slash
      const std::size_t slash = way.find('/');
      std::string token(way.substr(0, slash));
      way = slash == std::string_view::npos ? std::string_view() : way.substr(slash);
      for (std::size_t i = token.find('~'); i != std::string::npos; i = token.find('~', i + 1)) {
        const char escaped = i + 1 < token.size() ? token[i + 1] : '\0';
        if (escaped != '0' && escaped != '1') refuse(location, quoted + "is no JSON pointer");
        token.replace(i, 2, escaped == '0' ? "~" : "/");
      }
      place.base = base_of(*place.node, place.base);
      const JsonNode* child = nullptr;
      if (place.node->kind == JsonKind::object) {
        child = find_member(*place.node, token);
      } else if (place.node->kind == JsonKind::array) {
        std::size_t index = 0;
        const auto read = std::from_chars(token.data(), token.data() + token.size(), index);
        if (read.ec == std::errc() && read.ptr == token.data() + token.size() && index < place.node->count) {
          child = place.node->begin();
          for (std::size_t i = 0; i < index; ++i) child = child->next();
        }
      }
      if (child == nullptr) refuse(location, quoted + "names nothing in the schema");
      append_pointer_token(token, place.location);
      place.node = child;
    }
    return place;
  }

  // --- One schema

  const Schema* want(Place place) {
    if (!is_schema(*place.node)) refuse(place.location, "has to be an object, true or false");
    const auto [known, added] = schemas_.emplace(place.node, nullptr);
    if (added) {
      known->second = &compiled_.schemas.emplace_back();
      known->second->location = place.location;
      left_.emplace_back(known->second, std::move(place));
    }
    return known->second;
  }

  const Schema* child(const Place& at, const JsonNode& node) {
    return want({&node, pointer(at.location, node.name), at.base});
  }

  std::vector<const Schema*> children(const Place& at, const JsonNode& list, bool may_be_empty = false) {
    const std::string location = pointer(at.location, list.name);
    if (list.kind != JsonKind::array) refuse(location, "has to be an array of schemas");
    if (list.count == 0 && !may_be_empty) refuse(location, "must not be empty");
    std::vector<const Schema*> schemas;
    for (const JsonNode* c = list.begin(); c != list.end(); c = c->next()) {
      schemas.push_back(want({c, pointer(location, std::to_string(schemas.size())), at.base}));
    }
    return schemas;
  }

  void compile(Schema& schema, Place place) {
    const JsonNode& node = *place.node;
    if (node.kind != JsonKind::object) {
      schema.never = node.kind == JsonKind::boolean_false;
      return;
    }
    if (const JsonNode* ref = find_member(node, "$ref"); ref != nullptr) {
      const std::string location = pointer(place.location, "$ref");
      if (ref->kind != JsonKind::string) refuse(location, "has to be a string");
      schema.ref = want(resolve(place, *ref, location));
      for (const JsonNode* member = node.begin(); member != node.end(); member = member->next()) {
        const bool asserts = std::find(asserted.begin(), asserted.end(), member->name) != asserted.end();
        if (member != ref && asserts) ignore(place, *member, "it stands beside a $ref");
      }
      return;
    }
    place.base = base_of(node, place.base);
    if (const JsonNode* draft = find_member(node, "$schema"); draft != nullptr) check_draft(place, *draft);
    for (const JsonNode* member = node.begin(); member != node.end(); member = member->next()) {
      keyword(schema, place, *member);
    }
    if (schema.if_ == nullptr) schema.then_ = schema.else_ = nullptr;
    if (schema.object) required_and_dependencies(*schema.object, place);
  }

  static void check_draft(const Place& place, const JsonNode& draft) {
    std::string_view name = draft.kind == JsonKind::string ? draft.text : std::string_view();
    if (name.ends_with('#')) name.remove_suffix(1);
    std::string plain(name);
    if (plain.starts_with("https:")) plain.erase(4, 1);
    if (plain != this_draft) {
      refuse(pointer(place.location, "$schema"), "only draft 7 is offered, " + std::string(this_draft) + "#",
             ErrorCode::unsupported);
    }
  }

  void ignore(const Place& place, const JsonNode& member, std::string why) {
    if (compiled_.ignored.size() < 1000) {
      compiled_.ignored.push_back({pointer(place.location, member.name), std::move(why)});
    }
  }

  static NumberRules& number(Schema& schema) {
    if (!schema.number) schema.number = std::make_unique<NumberRules>();
    return *schema.number;
  }
  static StringRules& string(Schema& schema) {
    if (!schema.string) schema.string = std::make_unique<StringRules>();
    return *schema.string;
  }
  static ArrayRules& array(Schema& schema) {
    if (!schema.array) schema.array = std::make_unique<ArrayRules>();
    return *schema.array;
  }
  static ObjectRules& object(Schema& schema) {
    if (!schema.object) schema.object = std::make_unique<ObjectRules>();
    return *schema.object;
  }

  static Bound bound(const Place& place, const JsonNode& value) {
    if (value.kind != JsonKind::number) refuse(pointer(place.location, value.name), "has to be a number");
    return Bound(value.text);
  }

  static std::uint64_t count(const Place& place, const JsonNode& value) {
    if (value.kind == JsonKind::number) {
      const ExactDecimal exact = parse_decimal(value.text);
      if (!exact.negative && exact.exponent >= 0) {
        if (static_cast<std::int64_t>(exact.digits.size()) + exact.exponent > 18) {
          return std::numeric_limits<std::uint64_t>::max();
        }
        std::uint64_t whole = 0;
        std::from_chars(exact.digits.data(), exact.digits.data() + exact.digits.size(), whole);
        for (std::int64_t i = 0; i < exact.exponent; ++i) whole *= 10;
        return whole;
      }
    }
    refuse(pointer(place.location, value.name), "has to be a whole number, 0 or more");
  }

  static EcmaPattern pattern(const std::string& location, std::string_view text) {
    try {
      return EcmaPattern(text);
    } catch (const Error& error) {
      refuse(location, "the pattern: " + error.message(), error.code());
    }
  }

  static unsigned type_bit(const std::string& location, const JsonNode& name) {
    constexpr std::pair<std::string_view, unsigned> types[] = {
        {"null", type_null},     {"boolean", type_boolean}, {"object", type_object},  {"array", type_array},
        {"number", type_number}, {"string", type_string},   {"integer", type_integer}};
    for (const auto& [type, bit] : types) {
      if (name.kind == JsonKind::string && name.text == type) return bit;
    }
    refuse(location, "has to be null, boolean, object, array, number, string or integer, or an array of them");
  }

  static EnumRule values(const char* keyword, const JsonNode* first, const JsonNode* end) {
    EnumRule rule;
    rule.keyword = keyword;
    for (const JsonNode* value = first; value != end; value = value->next()) {
      rule.kinds |= 1U << static_cast<unsigned>(value->kind);
      append_canonical(*value, rule.canonicals.emplace_back());
    }
    std::sort(rule.canonicals.begin(), rule.canonicals.end());
    rule.canonicals.erase(std::unique(rule.canonicals.begin(), rule.canonicals.end()), rule.canonicals.end());
    return rule;
  }

  void keyword(Schema& schema, const Place& at, const JsonNode& m) {
    const std::string_view name = m.name;
    if (name == "type") {
      const std::string location = pointer(at.location, name);
      if (m.kind == JsonKind::array) {
        if (m.count == 0) refuse(location, "must not be empty");
        for (const JsonNode* type = m.begin(); type != m.end(); type = type->next()) {
          schema.types |= type_bit(location, *type);
        }
      } else {
        schema.types = type_bit(location, m);
      }
    } else if (name == "enum") {
      if (m.kind != JsonKind::array || m.count == 0) refuse(pointer(at.location, name), "has to be an array of values");
      schema.enums.push_back(values("enum", m.begin(), m.end()));
    } else if (name == "const") {
      schema.enums.push_back(values("const", &m, m.next()));
    } else if (name == "multipleOf") {
      Bound divisor = bound(at, m);
      const std::string location = pointer(at.location, name);
      if (divisor.exact.negative || divisor.exact.digits == "0") refuse(location, "has to be greater than 0");
      if (divisor.exact.digits.size() > 18) {
        refuse(location, "may have 18 significant digits", ErrorCode::unsupported);
      }
      number(schema).multiple_of = std::move(divisor);
    } else if (name == "minimum") {
      number(schema).minimum = bound(at, m);
    } else if (name == "maximum") {
      number(schema).maximum = bound(at, m);
    } else if (name == "exclusiveMinimum") {
      number(schema).exclusive_minimum = bound(at, m);
    } else if (name == "exclusiveMaximum") {
      number(schema).exclusive_maximum = bound(at, m);
    } else if (name == "minLength") {
      string(schema).min_length = count(at, m);
    } else if (name == "maxLength") {
      string(schema).max_length = count(at, m);
    } else if (name == "pattern") {
      if (m.kind != JsonKind::string) refuse(pointer(at.location, name), "has to be a string");
      string(schema).pattern.emplace(pattern(pointer(at.location, name), m.text));
      string(schema).pattern_text = m.text;
      string(schema).pattern_shown = shortened(m.text);
    } else if (name == "minItems") {
      array(schema).min_items = count(at, m);
    } else if (name == "maxItems") {
      array(schema).max_items = count(at, m);
    } else if (name == "uniqueItems") {
      if (m.kind != JsonKind::boolean_true && m.kind != JsonKind::boolean_false) {
        refuse(pointer(at.location, name), "has to be true or false");
      }
      array(schema).unique = m.kind == JsonKind::boolean_true;
    } else if (name == "items") {
      if (m.kind == JsonKind::array) {
        array(schema).tuple = children(at, m, true);
        if (const JsonNode* additional = find_member(*at.node, "additionalItems")) {
          array(schema).additional = child(at, *additional);
        }
      } else {
        array(schema).items = child(at, m);
      }
    } else if (name == "additionalItems") {
      const JsonNode* items = find_member(*at.node, "items");
      if (items == nullptr || items->kind != JsonKind::array) {
        child(at, m);  // So that it is checked to be a schema.
        ignore(at, m, "it needs an array of schemas in items");
      }
    } else if (name == "contains") {
      array(schema).contains = child(at, m);
    } else if (name == "properties" || name == "patternProperties" || name == "dependencies") {
      if (m.kind != JsonKind::object) refuse(pointer(at.location, name), "has to be an object");
      ObjectRules& rules = object(schema);
      if (name != "patternProperties") return;
      const std::string location = pointer(at.location, name);
      for (const JsonNode* c = m.begin(); c != m.end(); c = c->next()) {
        const std::string place = pointer(location, c->name);
        rules.patterns.push_back({std::string(c->name), pattern(place, c->name), want({c, place, at.base})});
      }
    } else if (name == "additionalProperties") {
      object(schema).additional = child(at, m);
    } else if (name == "propertyNames") {
      object(schema).names = child(at, m);
    } else if (name == "required") {
      check_names(pointer(at.location, name), m);
      object(schema);
    } else if (name == "minProperties") {
      object(schema).min_properties = count(at, m);
    } else if (name == "maxProperties") {
      object(schema).max_properties = count(at, m);
    } else if (name == "allOf") {
      schema.all_of = children(at, m);
    } else if (name == "anyOf") {
      schema.any_of = children(at, m);
    } else if (name == "oneOf") {
      schema.one_of = children(at, m);
    } else if (name == "not") {
      schema.not_ = child(at, m);
    } else if (name == "if") {
      schema.if_ = child(at, m);
    } else if (name == "then") {
      schema.then_ = conditional(at, m);
    } else if (name == "else") {
      schema.else_ = conditional(at, m);
    } else if (name == "definitions") {
      definitions(at, m);
    } else if (name == "format" || name == "contentEncoding" || name == "contentMediaType") {
      ignore(at, m, "it describes and asserts nothing");
    } else if (std::find(annotations.begin(), annotations.end(), name) == annotations.end()) {
      ignore(at, m, "it is no keyword of draft 7" + suggestion(name, asserted));
    }
  }

  const Schema* conditional(const Place& at, const JsonNode& m) {
    const Schema* schema = child(at, m);
    if (find_member(*at.node, "if") == nullptr) ignore(at, m, "there is no if");
    return schema;
  }

  /// Also those that nobody refers to have to be schemas.
  void definitions(const Place& at, const JsonNode& m) {
    const std::string location = pointer(at.location, m.name);
    if (m.kind != JsonKind::object) refuse(location, "has to be an object");
    for (const JsonNode* c = m.begin(); c != m.end(); c = c->next()) {
      want({c, pointer(location, c->name), at.base});
    }
  }

  static void check_names(const std::string& location, const JsonNode& list) {
    std::vector<std::string_view> names;
    bool strings = list.kind == JsonKind::array;
    for (const JsonNode* c = list.begin(); strings && c != list.end(); c = c->next()) {
      strings = c->kind == JsonKind::string;
      names.push_back(c->text);
    }
    if (!strings) refuse(location, "has to be an array of names");
    std::sort(names.begin(), names.end());
    if (std::adjacent_find(names.begin(), names.end()) != names.end()) refuse(location, "a name comes twice");
  }

  void required_and_dependencies(ObjectRules& rules, const Place& at) {
    const JsonNode* const properties = find_member(*at.node, "properties");
    const JsonNode* const required = find_member(*at.node, "required");
    const JsonNode* const dependencies = find_member(*at.node, "dependencies");
    const auto know = [&](std::string_view name) { rules.known.push_back({std::string(name), nullptr}); };
    const auto each = [](const JsonNode* list, const auto& body) {
      if (list == nullptr) return;
      for (const JsonNode* c = list->begin(); c != list->end(); c = c->next()) body(*c);
    };
    const std::string location = pointer(at.location, "dependencies");
    each(properties, [&](const JsonNode& c) { know(c.name); });
    each(required, [&](const JsonNode& c) { know(c.text); });
    each(dependencies, [&](const JsonNode& c) {
      know(c.name);
      if (c.kind != JsonKind::array) return;
      check_names(pointer(location, c.name), c);
      each(&c, [&](const JsonNode& n) { know(n.text); });
    });
    const auto by_name = [](const auto& a, const auto& b) { return a.name < b.name; };
    const auto same_name = [](const auto& a, const auto& b) { return a.name == b.name; };
    std::sort(rules.known.begin(), rules.known.end(), by_name);
    rules.known.erase(std::unique(rules.known.begin(), rules.known.end(), same_name), rules.known.end());

    const std::string of_properties = pointer(at.location, "properties");
    each(properties, [&](const JsonNode& c) {
      rules.known[rules.slot(c.name)].schema = want({&c, pointer(of_properties, c.name), at.base});
    });
    each(required, [&](const JsonNode& c) { rules.required.push_back(rules.slot(c.text)); });
    each(dependencies, [&](const JsonNode& c) {
      ObjectRules::Dependency& dependency = rules.dependencies.emplace_back();
      dependency.trigger = rules.slot(c.name);
      if (c.kind == JsonKind::array) {
        each(&c, [&](const JsonNode& n) { dependency.required.push_back(rules.slot(n.text)); });
      } else {
        dependency.schema = want({&c, pointer(location, c.name), at.base});
      }
    });
  }

  // --- What applies to the same value

  static std::vector<const Schema*> in_place(const Schema& schema) {
    std::vector<const Schema*> next;
    if (schema.ref != nullptr) next.push_back(schema.ref);
    for (const auto* list : {&schema.all_of, &schema.any_of, &schema.one_of}) {
      next.insert(next.end(), list->begin(), list->end());
    }
    for (const Schema* one : {schema.not_, schema.if_, schema.then_, schema.else_}) {
      if (one != nullptr) next.push_back(one);
    }
    if (schema.object) {
      for (const ObjectRules::Dependency& dependency : schema.object->dependencies) {
        if (dependency.schema != nullptr) next.push_back(dependency.schema);
      }
    }
    return next;
  }

  /// A schema that leads to itself on the same value would never come to an end.
  void refuse_endless() const {
    struct Step {
      const Schema* schema;
      std::vector<const Schema*> next;
      std::size_t done = 0;
      std::size_t deepest = 0;
    };
    std::unordered_map<const Schema*, std::size_t> depth;  // 0: under way
    for (const Schema& first : compiled_.schemas) {
      if (depth.contains(&first)) continue;
      std::vector<Step> way;
      const auto enter = [&](const Schema* schema) {
        depth[schema] = 0;
        way.push_back({schema, in_place(*schema)});
      };
      enter(&first);
      while (!way.empty()) {
        Step& step = way.back();
        if (step.done == step.next.size()) {
          const std::size_t own = step.deepest + 1;
          if (own > in_place_depth) {
            refuse(step.schema->location,
                   "more than " + std::to_string(in_place_depth) + " schemas apply to one value, one within the other",
                   ErrorCode::unsupported);
          }
          depth[step.schema] = own;
          way.pop_back();
          if (!way.empty()) way.back().deepest = std::max(way.back().deepest, own);
          continue;
        }
        const Schema* next = step.next[step.done++];
        const auto known = depth.find(next);
        if (known == depth.end()) {
          enter(next);
        } else if (known->second == 0) {
          refuse(next->location, "refers to itself without going into the document, which would never end");
        } else {
          step.deepest = std::max(step.deepest, known->second);
        }
      }
    }
  }

  const JsonNode& root_;
  CompiledSchema compiled_;
  std::unordered_map<const JsonNode*, Schema*> schemas_;
  std::vector<std::pair<Schema*, Place>> left_;
  std::map<std::string, Place, std::less<>> documents_;  // by URI, with an anchor's fragment
};

}  // namespace

CompiledSchema compile_schema(const JsonTree& tree) {
  return Compiler(tree).run();
}

}  // namespace stele::detail
