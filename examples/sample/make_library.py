#!/usr/bin/env python3
"""Writes library.ndjson: a few months of a town library, in Stele's import format, the same at every run.

    make_library.py [FILE]      default: library.ndjson beside this script

Streams are book/…, member/… and loan/…. Each event belongs to a command (source and request_id); lines of one command follow
each other and may go to several streams, as a loan does that changes the book too.
"""
import datetime
import json
import pathlib
import sys
import uuid

NAMESPACE = uuid.UUID("6f1a1c1e-8f5b-5d0a-9a55-1b6f0e6d2c11")
BEGIN = datetime.datetime(2026, 1, 5, 9, 0, 0)
DAYS = 107

BOOKS = [
    ("A-001", "Max Havelaar", "Multatuli", "nl"),
    ("A-002", "Les Misérables", "Victor Hugo", "fr"),
    ("A-003", "Anna Karenina · Анна Каренина", "Лев Толстой", "ru"),
    ("A-004", "Pride and Prejudice", "Jane Austen", "en"),
    ("A-005", "こころ", "夏目漱石", "ja"),
    ("A-006", "Sult", "Knut Hamsun", "no"),
    ("A-007", "Gösta Berlings saga", "Selma Lagerlöf", "sv"),
    ("A-008", "Don Quijote de la Mancha", "Miguel de Cervantes", "es"),
    ("A-009", "Die Verwandlung", "Franz Kafka", "de"),
    ("A-010", "紅樓夢", "曹雪芹", "zh"),
    ("A-011", "Frankenstein", "Mary Shelley", "en"),
    ("A-012", "Ο Ερωτόκριτος", "Βιτσέντζος Κορνάρος", "el"),
    ("A-013", "Camera Obscura", "Hildebrand", "nl"),
    ("A-014", "Pan Tadeusz", "Adam Mickiewicz", "pl"),
    ("A-015", "Babička", "Božena Němcová", "cs"),
    ("A-016", "The Time Machine", "H. G. Wells", "en"),
    ("A-017", "Os Lusíadas", "Luís de Camões", "pt"),
    ("A-018", "Seitsemän veljestä", "Aleksis Kivi", "fi"),
]

MEMBERS = [
    ("m-101", "Ada de Vries"),
    ("m-102", "Zoë Janssen"),
    ("m-103", "Søren Ibsen"),
    ("m-104", "Nguyễn Thị Mai"),
    ("m-105", "Łukasz Nowak"),
    ("m-106", "Ines Müller"),
    ("m-107", "O'Brien, Pat"),
    ("m-108", "Ayşe Yılmaz"),
    ("m-109", "José Núñez"),
    ("m-110", "Mehdi رضایی"),
    ("m-111", "Kees van 't Hof"),
    ("m-112", "Emma 👩🏽‍🚀 Bakker"),
]

REMARKS = ["a fine copy", "coffee on page 12 ☕", "spine \"repaired\" twice", "back\\slash in pencil", "tab\there", None]


class Dice:
    """A small generator of our own: Python does not promise the same numbers in each of its versions."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % n

    def pick(self, items):
        return items[self.below(len(items))]


class Log:
    """Collects commands; gives their lines in the order of time."""

    def __init__(self):
        self.commands = []  # (when, source, events)

    def command(self, source, when, events, **common):
        """One command: events is a list of (stream_type, stream_id, event_type, data, further fields)."""
        self.commands.append((when, source, [(*event[:4], {**common, **event[4]}) for event in events]))

    def lines(self):
        requests = {}
        for when, source, events in sorted(self.commands, key=lambda command: command[0]):
            number = requests[source] = requests.get(source, 0) + 1
            for stream_type, stream_id, event_type, data, more in events:
                event = {"stream_type": stream_type, "stream_id": stream_id, "event_type": event_type}
                event.update(occurred_at=when, source=source, request_id=f"{source[:4]}-{number:05d}", **more, data=data)
                yield json.dumps(event, ensure_ascii=False, separators=(",", ":"))


def name_uuid(*parts):
    return str(uuid.uuid5(NAMESPACE, "/".join(parts)))


def at(day, hour, minute=0, second=0, micros=0):
    moment = BEGIN.replace(hour=hour, minute=minute, second=second, microsecond=micros) + datetime.timedelta(days=day)
    digits = "seconds" if micros == 0 else "milliseconds" if micros % 1000 == 0 else "microseconds"
    return moment.isoformat(timespec=digits) + "Z"


def date(day):
    return at(day, 0)


def acquire_books(log, dice):
    for number, (book, title, author, language) in enumerate(BOOKS):
        data = {"title": title, "author": author, "language": language, "copies": 1, "price_cents": 500 + 50 * number}
        more = {"attributes": {"language": language, "shelf": book[0]}, "event_version": 2}
        events = [("book", book, "BookAcquired", data, more)]
        remark = dice.pick(REMARKS)
        if remark:
            events.append(("book", book, "ConditionNoted", {"remark": remark}, {}))
        log.command("catalogue-import", at(0, 6, number), events, channel="import", actor_type="system", actor_id="night-job",
                    metadata={"file": "acquisitions-2026-01.csv", "row": number + 2})


def enrol_members(log):
    for number, (member, name) in enumerate(MEMBERS):
        day = number // 3
        joined = {"name": name, "email": f"{member}@library.example", "born": 1950 + 4 * number}
        card = {"card": f"C{7000 + number}", "fee_cents": 2450}
        personal = {"redaction_level": "partial", "attributes": {"member": member}}
        valid = {"valid_from": date(day), "valid_to": date(day + 365), "attributes": {"member": member}}
        log.command("website", at(day, 8, 3 * number, 7, 1000 * (number + 1)),
                    [("member", member, "MemberJoined", joined, personal), ("member", member, "CardIssued", card, valid)],
                    channel="ui", actor_type="user", actor_id=member, event_version=1)


class Desk:
    """Lends and takes back. Each loan has a correlation id that all its events carry."""

    def __init__(self, log):
        self.log = log
        self.open = {}  # book -> (loan, member, due day, correlation)
        self.loans = 0

    def lend(self, day, hour, minute, book, member):
        self.loans += 1
        loan = f"2026-{self.loans:04d}"
        correlation = name_uuid("loan", loan)
        due = day + 21
        self.open[book] = (loan, member, due, correlation)
        started = {"book": book, "member": member, "due": date(due)[:10]}
        attributes = {"book": book, "member": member}
        more = {"valid_from": at(day, hour, minute), "valid_to": date(due), "attributes": attributes}
        if self.loans % 5 == 0:
            more["event_id"] = name_uuid("event", loan, "started")
        self.log.command("desk-terminal", at(day, hour, minute, 30),
                         [("loan", loan, "LoanStarted", started, more), ("book", book, "BookLent", {"loan": loan}, {})],
                         channel="ui", actor_type="user", actor_id="desk-anna", correlation_id=correlation)

    def renew(self, day, hour, minute, book):
        loan, member, due, correlation = self.open[book]
        self.open[book] = (loan, member, due + 14, correlation)
        renewed = {"due": date(due + 14)[:10], "times": 1}
        more = {"valid_from": date(due), "valid_to": date(due + 14), "attributes": {"book": book, "member": member}}
        self.log.command("website", at(day, hour, minute, 5, 250000), [("loan", loan, "LoanRenewed", renewed, more)],
                         channel="api", actor_type="user", actor_id=member, correlation_id=correlation)

    def remind(self, day, book):
        loan, member, due, correlation = self.open[book]
        more = {"idempotency_key": f"overdue-{at(day, 2)[:10]}", "causation_id": name_uuid("nightly-run", str(day))}
        self.log.command("reminder-service", at(day, 2, 15),
                         [("loan", loan, "LoanOverdue", {"days": day - due}, more)],
                         channel="system", actor_type="service", actor_id="reminders", correlation_id=correlation)

    def take_back(self, day, hour, minute, book):
        loan, member, due, correlation = self.open.pop(book)
        late = max(0, day - due)
        events = [("loan", loan, "LoanReturned", {"late_days": late}, {}), ("book", book, "BookReturned", {"loan": loan}, {})]
        if late:
            fine = {"loan": loan, "amount_cents": 25 * late}
            events.append(("member", member, "FineCharged", fine, {"attributes": {"member": member}}))
        self.log.command("desk-terminal", at(day, hour, minute, 12), events, channel="ui", actor_type="user",
                         actor_id="desk-bram", correlation_id=correlation)
        if late:
            payment = {"provider": "paybridge", "raw": {"id": f"pb_{loan[5:]}", "status": "paid"}}
            self.log.command("paybridge", at(day, hour, minute + 9, 44, 123456),
                             [("member", member, "FinePaid", {"amount_cents": 25 * late},
                               {"metadata": payment})],
                             channel="webhook", actor_type="service", actor_id="paybridge", correlation_id=correlation)


def recommend(log, day, member, book):
    title = next(b[1] for b in BOOKS if b[0] == book)
    log.command("advisor", at(day, 4, 30),
                [("member", member, "BookRecommended", {"book": book, "reason": f"you may like “{title}”"},
                  {"model_context": {"model": "shelf-neighbours", "version": 3, "score": 0.8125},
                   "policy_context": {"consent": True, "basis": "opt-in"},
                   "display": {"icon": "📚", "tone": "friendly"},
                   "attributes": {"member": member, "book": book}})],
                channel="system", actor_type="agent", actor_id="advisor-bot",
                causation_id=name_uuid("advisor-run", str(day)))


def run_days(log, dice):
    desk = Desk(log)
    # The first loan is told in full: lent, renewed, overdue, brought back late.
    first_book, first_member = BOOKS[0][0], MEMBERS[0][0]
    desk.lend(1, 10, 0, first_book, first_member)
    for day in range(4, DAYS):
        if day == 20:
            desk.renew(day, 12, 0, first_book)
        if day in (38, 45):
            desk.remind(day, first_book)
        if day == 47:
            desk.take_back(day, 11, 20, first_book)
        if day % 7 == 6:
            if dice.below(2):
                recommend(log, day, dice.pick(MEMBERS)[0], dice.pick(BOOKS)[0])
            continue  # closed on Sundays
        for book in [b for b in sorted(desk.open) if b != first_book]:
            due = desk.open[book][2]
            chance = dice.below(20)
            if day > due and (day - due) % 7 == 1:
                desk.remind(day, book)
            elif day <= due and chance == 0:
                desk.renew(day, 13, 10 + dice.below(40), book)
            elif chance <= 2 or day > due + 10:
                desk.take_back(day, 14, dice.below(50), book)
        for turn in range(dice.below(4)):
            book = dice.pick(BOOKS)[0]
            if book not in desk.open:
                desk.lend(day, 15 + turn, dice.below(55), book, dice.pick(MEMBERS)[0])


def main():
    target = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).with_name("library.ndjson")
    log = Log()
    dice = Dice(20260105)
    acquire_books(log, dice)
    enrol_members(log)
    run_days(log, dice)
    target.write_text("".join(line + "\n" for line in log.lines()), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
