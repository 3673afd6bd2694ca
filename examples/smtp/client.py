#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Sends mail by Python's smtplib: client.py HOST PORT [COUNT]; prints what the server says."""
import smtplib
import sys
from email.message import EmailMessage


def message(number):
    """One with lines that begin with dots, and with letters that take 8 bits."""
    mail = EmailMessage()
    mail["Subject"] = f"Number {number}"
    mail["From"], mail["To"] = "alice@example.org", "bob@example.org, carol@example.org"
    mail.set_content(f".\n..two\n.one\nGrüße {number}\n", cte="8bit")
    return mail


def main():
    host, port, count = sys.argv[1], int(sys.argv[2]), int((sys.argv[3:] or ["1"])[0])
    with smtplib.SMTP(host, port, timeout=60) as client:
        for number in range(count):
            refused = client.send_message(message(number))
            print("sent", number, refused)
        print(*client.vrfy("bob@example.org"))
        try:
            client.sendmail("alice@example.org", ["bob@example.org"], b"x" * 100 + b"\r\n",
                            ["SIZE=99999999999"])
        except smtplib.SMTPSenderRefused as error:
            print(error.smtp_code, error.smtp_error.decode())


main()
