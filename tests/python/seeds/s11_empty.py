import socketserver
class FtpServer(socketserver.BaseRequestHandler):
    def handle(self):
        pass
ftpserver = socketserver.ThreadingTCPServer(('127.0.0.1', 8080), FtpServer)
ftpserver.serve_forever()
