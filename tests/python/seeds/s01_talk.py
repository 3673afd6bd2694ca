#!/usr/bin/python3.6
# -*- coding: utf-8 -*-
# author:maxiaoyu
import socketserver


class FtpServer(socketserver.BaseRequestHandler):
    def handle(self):
        print(self)
        print(self.request)
        while True:
            data = self.request.recv(1024)
            self.request.send(data.upper())


if __name__ == '__main__':
    obj = socketserver.ThreadingTCPServer(('127.0.0.1',8080),FtpServer)
    obj.serve_forever() # 链接循环
